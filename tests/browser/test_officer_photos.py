"""Photos of forms: kept, sealed, sent after the small records in pieces, resumed from the last byte the server has."""

import hashlib
import re
from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import AWAY, Watch, on_phone_and_tablet
from tests.browser.officer_pages import (
    Centre,
    attach,
    begin,
    big,
    choose,
    kept,
    onward,
    photo,
    send,
    sign_in,
    until,
)  # fmt: skip
from tests.browser.test_officer_forms import PIER
from tests.browser.test_officer_offline import RECORDS, cut
from tests.helpers import Server


def sha256(file: dict[str, Any]) -> str:
    return hashlib.sha256(file["buffer"]).hexdigest()


def stop_form(page: Page, task: dict[str, Any] | None, *files: dict[str, Any]) -> None:
    """A stop that found nothing, with these photos, up to its last step."""
    begin(page, task, "stop")
    choose(page, "random")
    onward(page, 5)
    choose(page, "nothing_found")
    onward(page, 2)
    if files:
        attach(page, *files)
    onward(page, 2)


def form_of(centre: Centre, task: dict[str, Any]) -> dict[str, Any]:
    (made,) = centre.get(f"/stop-forms?task_id={task['id']}")["items"]
    return dict(made)


def files_of(centre: Centre, form: dict[str, Any]) -> list[dict[str, Any]]:
    return list(centre.get(f"/attachments?stop_form_id={form['id']}")["items"])


def complete(centre: Centre, task: dict[str, Any], n: int) -> bool:
    forms = centre.get(f"/stop-forms?task_id={task['id']}")["items"]
    return bool(forms) and [one["status"] for one in files_of(centre, forms[0])] == ["complete"] * n


def left(page: Page) -> list[str]:
    """The stores of the person in which something of a file is left."""
    return [store for name, store, _ in page.evaluate(RECORDS) if store in {"pieces", "copies", "files"}]


def test_photos_are_kept_shown_removed_and_follow_their_form(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre, **PIER)
    task = centre.issue("Search the container")
    expect(page.locator(".card.now")).to_be_visible()
    kept(page)
    cut(page, watch)
    first, second = photo("seal.jpg", 1), photo("floor.jpg", 2)
    paper = {"name": "cmr.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 waybill"}
    stop_form(page, task, first, second, paper)
    page.locator(".wizard .back").click()
    page.locator(".wizard .back").click()
    expect(page.locator(".photo img")).to_have_count(2)
    expect(page.locator(".photo").first).to_contain_text("stored on this device")
    expect(page.get_by_text(re.compile(r"Room left on this device: [\d.,]+ [MG]B"))).to_be_visible()
    page.locator("[data-pick=file]").set_input_files([first])
    expect(page.get_by_text("is attached already.")).to_be_visible()
    page.get_by_role("button", name="Remove floor.jpg").click()
    page.get_by_role("button", name="Remove for good").click()
    expect(page.locator(".photo")).to_have_count(2)
    page.reload()
    expect(page.locator(".photo")).to_have_count(2)
    sealed = [text for name, store, text in page.evaluate(RECORDS) if store in {"pieces", "copies", "files"}]
    assert sealed
    assert not [text for text in sealed if "seal.jpg" in text or "JFIF" in text or "%PDF" in text]
    onward(page, 2)
    send(page)
    page.evaluate("() => { location.hash = '#/outbox' }")
    expect(page.get_by_text("0 of 2 photos sent")).to_be_visible()
    page.context.set_offline(False)
    until(page, lambda: complete(centre, task, 2), 60)
    made = form_of(centre, task)
    files = files_of(centre, made)
    assert {one["sha256"] for one in files} == {sha256(first), sha256(paper)}
    assert all(one["created_at"] > made["recorded_at"] for one in files)
    assert {(one["screen"], one["media_type"]) for one in files} == {(True, "image/jpeg"), (False, "application/pdf")}
    expect(page.locator("#badge")).to_have_text("Online", timeout=30_000)
    expect(page.get_by_text("Everything has been sent.")).to_be_visible()
    assert left(page) == []


def test_a_photo_the_server_does_not_take_is_told_and_removed(watch: Watch, centre: Centre) -> None:
    page = sign_in(watch, centre, **PIER)
    watch.allow(re.compile("status of 415"))
    task = centre.issue("Search the trunk")
    big(page, "acknowledge")
    stop_form(
        page, task, {"name": "odd.jpg", "mimeType": "image/jpeg", "buffer": b"GIF89a no photo"}, photo("good.jpg")
    )
    send(page)
    page.evaluate("() => { location.hash = '#/' }")
    big(page, "en_route")  # lets the form go
    expect(page.locator("#badge")).to_have_text("Refused · 1", timeout=30_000)
    page.locator("#badge").click()
    odd = page.locator(".photo").filter(has_text="odd.jpg")
    expect(odd).to_contain_text("The server refused this:")
    expect(page.get_by_text("1 of 2 photos sent")).to_be_visible()
    odd.get_by_role("button", name="Remove odd.jpg").click()
    odd.get_by_role("button", name="Remove for good").click()
    expect(page.locator("#badge")).to_have_text("Online")
    assert [one["name"] for one in files_of(centre, form_of(centre, task)) if one["status"] == "complete"] == [
        "good.jpg"
    ]
    assert left(page) == []


def offsets(page: Page) -> list[int]:
    """Where each piece that is sent from now on begins."""
    asked: list[int] = []

    def note(request: Any) -> None:
        if request.method == "PUT" and "/content?" in request.url:
            asked.append(int(re.search(r"offset=(\d+)", request.url).group(1)))  # type: ignore[union-attr]

    page.on("request", note)
    return asked


@on_phone_and_tablet
def test_o5_an_upload_resumes_from_the_last_confirmed_byte(server: Server, watch: Watch) -> None:
    """The network goes within a photo, then the server is killed and the page closed."""
    centre = Centre(server)
    page = sign_in(watch, centre, **PIER)
    task = centre.issue("Search the silo")
    big(page, "acknowledge")
    watch.allow(AWAY)
    watch.allow(re.compile("ERR_FAILED"))
    large = photo("silo.jpg", 5, 1_000)
    passed: list[int] = []

    def two_pieces(route: Route) -> None:
        if len(passed) == 2:
            return route.abort()
        passed.append(len(route.request.post_data_buffer or b""))
        return route.continue_()

    page.route("**/content?*", two_pieces)
    stop_form(page, task, large)
    send(page)
    page.evaluate("() => { location.hash = '#/' }")
    big(page, "en_route")
    until(page, lambda: bool(centre.get(f"/stop-forms?task_id={task['id']}")["items"]), 30)
    form = form_of(centre, task)
    until(
        page, lambda: [one["received"] for one in files_of(centre, form)] == [sum(passed)] if passed[1:] else False, 30
    )
    page.evaluate("() => { location.hash = '#/outbox' }")
    expect(page.get_by_text(re.compile(r"\d+ % sent"))).to_be_visible()
    page.close()
    server.kill()
    page = watch.beside(page.context, f"{server.url}/officer")  # from the device: there is no server
    asked = offsets(page)
    expect(page.locator("#badge")).to_contain_text("photos 0/1")
    server.start()
    until(page, lambda: complete(centre, task, 1), 60)
    assert asked[0] == sum(passed) > 0
    (done,) = files_of(centre, form)
    assert (done["sha256"], done["size"]) == (sha256(large), len(large["buffer"]))
    expect(page.locator("#badge")).to_have_text("Online", timeout=30_000)


@on_phone_and_tablet
def test_o2_a_day_offline_arrives_once_in_order_small_records_first(watch: Watch, centre: Centre) -> None:
    """Scaled: 3 forms, 6 photos, 6 taps, the page closed in between; then a network that drops every fourth piece."""
    page = sign_in(watch, centre, **PIER)
    tasks = [centre.issue(f"Check {name}", "P2") for name in ("the quay", "the ramp", "the yard")]
    expect(page.locator("a.item")).to_have_count(2)
    kept(page)
    cut(page, watch)
    photos = [photo(f"{n}.jpg", n, 300) for n in range(6)]
    for n, task in enumerate(tasks):
        page.evaluate("path => { location.hash = path }", f"#/task/{task['id']}")
        big(page, "acknowledge")
        big(page, "en_route")
        stop_form(page, task, photos[2 * n], photos[2 * n + 1])
        send(page)
        if n == 1:
            page.close()
            page = watch.beside(page.context, f"{centre.server.url}/officer")
    page.evaluate("path => { location.hash = path }", f"#/task/{tasks[2]['id']}")
    big(page, "on_scene")  # nothing is held back for undo any more but this
    expect(page.locator("#badge")).to_have_text("Offline · 10 waiting")
    watch.allow(re.compile("ERR_FAILED|status of 409"))
    pieces: list[str] = []

    def bad_network(route: Route) -> None:
        pieces.append(route.request.url)
        if len(pieces) == 2:  # damaged on its way: its hash tells, and it is asked for again
            return route.continue_(post_data=bytes(len(route.request.post_data_buffer or b"")))
        return route.abort() if len(pieces) % 4 == 0 else route.continue_()

    page.route("**/content?*", bad_network)
    page.context.set_offline(False)
    until(page, lambda: all(complete(centre, task, 2) for task in tasks), 90)
    forms = [form_of(centre, task) for task in tasks]
    for n, (task, form) in enumerate(zip(tasks, forms, strict=True)):
        assert centre.steps(task["id"])[:2] == [("acknowledge", "applied"), ("en_route", "applied")]
        assert {one["sha256"] for one in files_of(centre, form)} == {sha256(one) for one in photos[2 * n : 2 * n + 2]}
    first_photo = min(one["created_at"] for form in forms for one in files_of(centre, form))
    assert max(form["recorded_at"] for form in forms) < first_photo
    expect(page.locator("#badge")).to_have_text("Online", timeout=30_000)
    assert left(page) == []
