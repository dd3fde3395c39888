"""What people are shown of campaigns and studies: status, pages and figures; the figures load when they are drawn."""

from typing import TYPE_CHECKING

from sdl.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from sdl.reports.benchmarks.backtest_page import write_backtest_page
    from sdl.reports.benchmarks.benchmark_page import write_benchmark_page
    from sdl.reports.campaign_page import render_campaign_page, write_campaign_page
    from sdl.reports.comparison_page import write_comparison_page
    from sdl.reports.status import CampaignStatus, campaign_statuses
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "CampaignStatus": "sdl.reports.status",
            "campaign_statuses": "sdl.reports.status",
            "render_campaign_page": "sdl.reports.campaign_page",
            "write_backtest_page": "sdl.reports.benchmarks.backtest_page",
            "write_benchmark_page": "sdl.reports.benchmarks.benchmark_page",
            "write_campaign_page": "sdl.reports.campaign_page",
            "write_comparison_page": "sdl.reports.comparison_page",
        },
    )

__all__ = [
    "CampaignStatus",
    "campaign_statuses",
    "render_campaign_page",
    "write_backtest_page",
    "write_benchmark_page",
    "write_campaign_page",
    "write_comparison_page",
]
