"""A sweep as the campaigns that it consists of."""

import pytest

from flows.campaign.sweep import list_variants
from sdl.campaign.definition import Campaign, Target
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.twin import Twin


def variants(config, targets, seeds, *, apart):
    return list_variants(config, targets, seeds, Twin(), apart=apart)


class TestSweep:
    CONFIG = Campaign.parse({"name": "sweep", "instrument": "twin", "targets": [{"readings": {"445nm": 9000}}]})
    TARGETS = tuple(Target(name=name, readings={"445nm": value}) for name, value in (("dim", 4000), ("bright", 20000)))

    def test_all_targets_share_one_campaign(self):
        (made,) = variants(self.CONFIG, self.TARGETS, [], apart=False)
        assert made.slug == "sweep"
        assert [each.name for each in made.targets] == ["dim", "bright"]

    def test_seeds_have_campaigns_of_their_own_with_all_targets(self):
        made = variants(self.CONFIG, self.TARGETS, [1, 2], apart=False)
        assert [(each.slug, each.seed, len(each.targets)) for each in made] == [
            ("sweep-seed-1", 1, 2), ("sweep-seed-2", 2, 2)
        ]  # fmt: skip

    def test_apart_there_is_a_campaign_for_each_target_and_seed(self):
        made = variants(self.CONFIG, self.TARGETS, [1, 2], apart=True)
        assert [each.slug for each in made] == [
            "sweep-dim-seed-1", "sweep-dim-seed-2", "sweep-bright-seed-1", "sweep-bright-seed-2"
        ]  # fmt: skip
        assert [(each.targets[0].readings["445nm"], each.seed) for each in made][1::2] == [(4000, 2), (20000, 2)]

    def test_apart_it_takes_the_targets_of_the_campaign_where_none_are_given(self):
        both = variants(self.CONFIG, self.TARGETS, [], apart=False)[0]
        assert [each.slug for each in variants(both, [], [], apart=True)] == ["sweep-dim", "sweep-bright"]

    def test_alone_it_is_the_campaign_itself(self):
        assert variants(self.CONFIG, [], [], apart=False) == [self.CONFIG]

    def test_every_fault_of_every_campaign_is_told_before_the_first(self):
        targets = [Target(name="x", readings={"999nm": 1000}), Target(name="y", readings={"445nm": 1e9})]
        with pytest.raises(InvalidInput) as caught:
            variants(self.CONFIG, targets, [1, 1], apart=True)
        result = caught.value.faults
        assert sum("999nm" in each for each in result) == 2
        assert sum("reaches the ceiling" in each for each in result) == 2
        assert any("'sweep-x-seed-1'" in each for each in result)
