"""The form of a round says a setting as a person sets it."""

from chemist import WRITTEN, conversation

from flows.campaign.readings_form import ReadingsForm
from flows.campaign.waiting import Wait, _describe_plan
from flows.ui.artifacts import escape_markdown
from sdl.errors import ApprovalWanted
from sdl.ledger.ledger import Ledger

KNOBS = [{"name": "solvent", "values": ["water", "ethanol"]}, {"name": "speed", "low": 12_000, "high": 13_000}]
BY_NAME = WRITTEN | {"instrument": WRITTEN["instrument"] | {"knobs": KNOBS}, "design": {"n": 4}}


def test_a_category_stands_in_it_by_its_name_and_a_number_with_all_its_digits(tmp_path):
    here = conversation(BY_NAME, tmp_path)
    shown = [here.entry().space.shown_settings(sample.request.settings) for sample in here.ask()]
    with Ledger(here.where) as ledger:
        form, _ = ReadingsForm(ledger, "dyes").blank()
    described = [field.description for name, field in form.model_fields.items() if name.endswith("_0")]
    assert described == [f"design at solvent = {row['solvent']}, speed = {row['speed']:.10g}" for row in shown]
    assert {row["solvent"] for row in shown} == {"water", "ethanol"}


def test_who_approves_of_settings_sees_them_so_too(tmp_path):
    here = conversation(BY_NAME | {"approval": {"when": "always"}}, tmp_path)
    try:
        here.ask()
    except ApprovalWanted as error:
        why = error
    with Ledger(here.where) as ledger:
        wait = Wait(ledger, "dyes", why, 0.0, ReadingsForm(ledger, "dyes"))
        text, history = _describe_plan(wait, wait.pending_approval()), ledger.history(here.entry().id)
    for request in history.pending:
        row = here.entry().space.shown_settings(request.settings)
        assert f"| design | {row['solvent']} | {row['speed']:.10g} | 1 |" in text


def test_what_was_typed_beside_a_typo_stands_in_it_again_and_who_read_it_is_asked_anew(tmp_path):
    here = conversation(WRITTEN, tmp_path)
    first, second, *_ = here.ask()
    keys = [[f"{sample.name.replace('-', '_')}_{column}" for column in (0, 1)] for sample in (first, second)]
    with Ledger(here.where) as ledger:
        form = ReadingsForm(ledger, "dyes")
        _, samples = form.blank()
        form.take(
            dict(zip([*keys[0], *keys[1]], ["1,2 V", "9O", "1200,5", "30,5"], strict=True)) | {"name": "Ada"}, samples
        )
        again, samples = form.blank()
        assert second.name not in {sample.name for sample in samples}
        assert [again.model_fields[key].default for key in keys[0]] == ["1,2 V", "9O"]
        assert again.model_fields["name"].default == ""
        assert "650nm is expected in mV, got 'O'" in form.faults[0]
        form.take({keys[0][0]: "1,2 V", keys[0][1]: "90"}, samples)
        assert form.faults == []


def test_a_quotation_mark_in_it_is_shown_as_one():
    assert escape_markdown("got 'O' & \"<b>\"") == "got 'O' &amp; \"&lt;b&gt;\""
