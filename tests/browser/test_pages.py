"""Every tab clicked through in Chromium, over the real API and the real small bundle."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from matinee.app.ui.page import TABS
from matinee.evaluation.report import report_of
from tests.bad_inputs import drawn_poster, encoded
from tests.browser.conftest import Site, matinee_command

pytestmark = pytest.mark.browser

PLOT = "Two detectives hunt a killer through a rainy city, one murder ahead of them each time."
BLANK = encoded(drawn_poster(300, 300).convert("L").point(lambda _: 90).convert("RGB"), "PNG")


def open_tab(page: Page, site: Site, tab: str) -> None:
    """Opens a tab by its deep link and waits until the page is filled in."""
    page.goto(f"{site.pages}/#{tab}")
    expect(page.locator(f"#tab-{tab}-button")).to_have_attribute("aria-selected", "true")
    page.locator("#discover-examples .mt-example").first.wait_for(state="attached")


def upload(page: Page, where: str, content: bytes, *, name: str = "poster.png") -> None:
    """Puts a file into an image input and waits until it is there."""
    with page.expect_response(lambda response: "/upload" in response.url):
        page.locator(f"#{where} input[type=file]").set_input_files(
            {"name": name, "mimeType": "image/png", "buffer": content}
        )
    page.locator(f"#{where} img").first.wait_for(state="attached")


def run(page: Page, button: str, result: str) -> None:
    """Clicks a button and waits for its own answer, not one that was there before."""
    page.evaluate("(id) => document.querySelector(`#${id} .mt-result`)?.classList.add('old')", result)
    page.locator(f"#{button}").click()
    page.locator(f"#{result} .mt-result:not(.old)").wait_for()


def test_the_frame_says_what_is_served(page: Page, site: Site) -> None:
    open_tab(page, site, "discover")
    frame = page.locator("#mt-frame")
    expect(frame).to_contain_text("Matinee")
    expect(frame).to_contain_text("films")
    expect(frame).to_contain_text("bundle")
    demo = page.request.get(f"{site.api}/v1/info").json()["demo"]
    expect(page.locator("#mt-frame .mt-badge")).to_have_count(int(demo))
    expect(page.locator("#mt-banner .mt-demo")).to_have_count(int(demo))


def test_each_tab_has_a_deep_link_and_the_address_follows_the_tabs(page: Page, site: Site) -> None:
    open_tab(page, site, "about")
    expect(page).to_have_title("About · Matinee")
    for tab, name in TABS.items():
        page.locator(f"#tab-{tab}-button").click()
        page.wait_for_url(f"{site.pages}/#{tab}")
        expect(page).to_have_title(f"{name} · Matinee")
    for tab in TABS:
        page.evaluate("(tab) => { location.hash = tab; }", tab)
        expect(page.locator(f"#tab-{tab}-button")).to_have_attribute("aria-selected", "true")


def test_discover_by_words_and_by_example(page: Page, site: Site) -> None:
    open_tab(page, site, "discover")
    page.locator("#discover-query textarea").fill("a murder in the rain")
    run(page, "discover-run", "discover-result")
    expect(page.locator("#discover-result .mt-card").first).to_be_visible()
    examples = page.locator("#discover-examples .mt-example")
    expect(examples).to_have_count(3)
    examples.nth(1).click()
    expect(page.locator("#discover-result .mt-heading")).to_contain_text(examples.nth(1).inner_text())


def test_discover_within_a_filter(page: Page, site: Site) -> None:
    open_tab(page, site, "discover")
    page.locator("#discover-query textarea").fill("a film")
    page.get_by_text("Narrow it down").first.click()
    page.locator("#discover-until input").fill("1800")
    run(page, "discover-run", "discover-result")
    expect(page.locator("#discover-result")).to_contain_text("until 1800")
    expect(page.locator("#discover-result .mt-card")).to_have_count(0)


def test_reading_filters_from_the_words_can_be_switched_off(page: Page, site: Site) -> None:
    open_tab(page, site, "discover")
    box = page.locator("#discover-facets input")
    expect(box).to_be_checked()
    page.locator("#discover-query textarea").fill("a comedy from before 1990")
    run(page, "discover-run", "discover-result")
    filters = page.locator("#discover-result .mt-chip-filter")
    expect(filters).to_have_text(["until 1989", "Comedy"])
    box.uncheck()
    run(page, "discover-run", "discover-result")
    expect(filters).to_have_count(0)
    expect(page.locator("#discover-result .mt-card").first).to_be_visible()
    box.check()
    run(page, "discover-run", "discover-result")
    expect(filters).to_have_count(2)


def say(page: Page, words: str) -> None:
    """One turn of the conversation, answered."""
    page.locator("#chat-query textarea").fill(words)
    run(page, "chat-run", "chat-result")


def chips(page: Page) -> list[str]:
    return page.locator("#chat-result .mt-part-words").all_inner_texts()


def test_a_conversation_is_refined_by_words_chips_and_clicks(page: Page, site: Site) -> None:
    open_tab(page, site, "chat")
    result = page.locator("#chat-result")
    say(page, "a comedy from before 1990")
    assert chips(page) == ["comedy", "before 1990"]
    expect(page.locator("#chat-query textarea")).to_have_value("")
    say(page, "in French")
    assert chips(page) == ["comedy", "before 1990", "in French"]
    expect(result.locator(".mt-said li")).to_have_text(["a comedy from before 1990", "in French"])

    result.get_by_role("button", name="Remove in French").click()
    expect(result.locator(".mt-part-words")).to_have_text(["comedy", "before 1990"])
    result.get_by_role("button", name="before 1990", exact=True).click()
    page.keyboard.press("Escape")
    result.get_by_role("button", name="before 1990", exact=True).click()
    page.keyboard.type("before 1980")
    page.keyboard.press("Enter")
    expect(result.locator(".mt-part-words")).to_have_text(["comedy", "before 1980"])

    cards = result.locator(".mt-card")
    second = cards.nth(1).get_attribute("data-film") or ""
    result.get_by_role("button", name="Not ").nth(1).click()
    expect(result.locator(".mt-part-words")).to_have_count(3)
    expect(result.locator(f'.mt-card[data-film="{second}"]')).to_have_count(0)
    cards.first.click()
    page.locator("#mt-film .mt-film").wait_for()
    page.keyboard.press("Escape")

    result.get_by_role("button", name="Start over").click()
    expect(result.locator(".mt-part")).to_have_count(0)
    expect(result.locator(".mt-question")).to_contain_text("in the mood for")


def test_a_conversation_asks_back_and_takes_the_answer(page: Page, site: Site) -> None:
    open_tab(page, site, "chat")
    say(page, "something good")
    suggestions = page.locator("#chat-result .mt-question .mt-example")
    expect(suggestions).to_have_count(4)
    suggestions.first.click()
    expect(page.locator("#chat-result .mt-part")).to_have_count(1)
    say(page, "from before 1900")
    expect(page.locator("#chat-result .mt-notice")).to_contain_text("The catalogue has no")
    page.locator("#chat-result .mt-question .mt-example").filter(has_text="before 1900").click()
    page.locator("#chat-result .mt-card").first.wait_for()


def test_the_examples_of_the_tabs_with_posters(page: Page, site: Site) -> None:
    open_tab(page, site, "poster")
    for tab in ("poster", "both", "check"):
        page.locator(f"#tab-{tab}-button").click()
        examples = page.locator(f"#{tab}-examples .mt-example")
        expect(examples).to_have_count(3)
        examples.first.click()
        page.locator(f"#{tab}-result .mt-result").wait_for()
        expect(page.locator(f"#{tab}-image img").first).to_be_visible()


def test_genres_from_a_poster_one_all_and_the_check(page: Page, site: Site) -> None:
    open_tab(page, site, "poster")
    upload(page, "poster-image", encoded(drawn_poster(), "PNG"))
    run(page, "poster-multi", "poster-result")
    run(page, "poster-single", "poster-result")
    run(page, "poster-validate", "poster-result")
    expect(page.locator("#poster-result .mt-heading")).to_have_text(
        re.compile("A film poster|Not a film poster|Not sure")
    )
    expect(page.locator("#poster-result")).to_contain_text("likely to be a film poster")


def test_a_rejected_poster_leads_to_the_plot(page: Page, site: Site) -> None:
    open_tab(page, site, "poster")
    upload(page, "poster-image", BLANK)
    run(page, "poster-multi", "poster-result")
    expect(page.locator("#poster-result .mt-heading").first).to_have_text("Not a film poster")
    page.get_by_role("button", name="Use the plot instead").click()
    expect(page.locator("#tab-plot-button")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#plot-text textarea")).to_be_focused()


def test_genres_from_a_plot_one_and_all(page: Page, site: Site) -> None:
    open_tab(page, site, "plot")
    page.locator("#plot-text textarea").fill(PLOT)
    run(page, "plot-multi", "plot-result")
    bars = page.locator("#plot-result [role=meter]")
    assert bars.count() > 1
    assert "needs" in (bars.first.get_attribute("aria-label") or "")
    run(page, "plot-single", "plot-result")
    page.locator("#plot-examples .mt-example").nth(2).click()
    expect(page.locator("#plot-text textarea")).not_to_have_value(PLOT)


def test_genres_from_poster_and_plot(page: Page, site: Site) -> None:
    open_tab(page, site, "both")
    page.locator("#both-examples .mt-example").first.click()
    page.locator("#both-result .mt-result").wait_for()
    expect(page.locator("#both-text textarea")).not_to_be_empty()
    run(page, "both-single", "both-result")
    run(page, "both-multi", "both-result")


def test_whether_a_poster_fits_a_plot(page: Page, site: Site) -> None:
    open_tab(page, site, "both")
    page.locator("#both-fit").click()
    expect(page.locator("#both-result .mt-hint")).to_contain_text("Give a poster and a plot")
    upload(page, "both-image", encoded(drawn_poster(), "PNG"))
    page.locator("#both-text textarea").fill(PLOT)
    run(page, "both-fit", "both-result")
    expect(page.locator("#both-result .mt-heading")).to_have_text(
        re.compile("^(The poster (fits|does not fit) the plot|Cannot tell whether they fit)$")
    )
    expect(page.locator("#both-result")).to_contain_text("of the catalogue's posters")


def test_similar_by_plot_by_poster_and_by_both(page: Page, site: Site) -> None:
    open_tab(page, site, "similar")
    page.locator("#similar-examples .mt-example").first.click()
    page.locator("#similar-result .mt-result").wait_for()
    for button, words in (("plot", "by plot"), ("poster", "by poster"), ("both", "by plot and poster")):
        run(page, f"similar-{button}", "similar-result")
        expect(page.locator("#similar-result .mt-heading")).to_have_text(f"Similar {words}")
        expect(page.locator("#similar-result .mt-card").first).to_be_visible()


def test_similar_to_a_film_found_by_typing(page: Page, site: Site) -> None:
    film = page.request.get(f"{site.api}/v1/films?k=1").json()["films"][0]
    open_tab(page, site, "similar")
    page.locator("#similar-films input").click()
    page.keyboard.type(film["title"], delay=20)
    page.get_by_role("option").filter(has_text=film["title"]).first.click()
    page.keyboard.press("Tab")  # closes the list
    run(page, "similar-both", "similar-result")
    assert film["id"] not in page.locator("#similar-result .mt-card").evaluate_all(
        "cards => cards.map(card => card.dataset.film)"
    )


def test_similar_to_a_plot_and_a_poster_of_ones_own(page: Page, site: Site) -> None:
    open_tab(page, site, "similar")
    page.locator("#similar-text textarea").fill(PLOT)
    run(page, "similar-plot", "similar-result")
    page.get_by_text("A poster of your own").click()
    upload(page, "similar-image", encoded(drawn_poster(), "PNG"))
    run(page, "similar-poster", "similar-result")
    expect(page.locator("#similar-result .mt-card").first).to_be_visible()


def test_the_poster_check_says_why(page: Page, site: Site) -> None:
    open_tab(page, site, "check")
    upload(page, "check-image", BLANK)
    run(page, "check-run", "check-result")
    expect(page.locator("#check-result .mt-heading")).to_have_text("Not a film poster")
    expect(page.locator("#check-result .mt-reasons li").first).not_to_be_empty()


def test_the_catalogue_is_paged_and_searched(page: Page, site: Site) -> None:
    total = page.request.get(f"{site.api}/v1/info").json()["films"]
    film = page.request.get(f"{site.api}/v1/films?k=1").json()["films"][0]
    open_tab(page, site, "catalogue")
    cards = page.locator("#catalogue-result .mt-card")
    expect(cards).to_have_count(min(24, total))
    if total > 24:
        page.locator("#catalogue-more").click()
        expect(cards).to_have_count(min(48, total))
    page.locator("#catalogue-query textarea, #catalogue-query input").fill(film["title"])
    page.locator("#catalogue-run").click()
    expect(cards.first).to_have_attribute("aria-label", f"Open {film['title']} ({film['year']})")
    page.locator("#catalogue-query textarea, #catalogue-query input").fill("qqqqzzzz")
    page.locator("#catalogue-run").click()
    expect(page.locator("#catalogue-result")).to_contain_text("No film has")


def test_about_shows_every_model_card(page: Page, site: Site) -> None:
    cards = page.request.get(f"{site.api}/v1/models").json()["models"]
    open_tab(page, site, "about")
    shown = page.locator("#about-result .mt-model-card")
    expect(shown).to_have_count(len(cards))
    for card in cards:
        expect(page.locator("#about-result")).to_contain_text(card["title"])


def test_about_shows_the_evaluation_of_a_measured_bundle(page: Page, site: Site, small_bundle: Path) -> None:
    subprocess.run(matinee_command("evaluate", "genre", "--bundle", str(small_bundle)), check=True)
    try:
        open_tab(page, site, "about")
        section = page.locator("#about-evaluation .mt-model-card")
        section.locator("summary", has_text="Genre").click()
        expect(section.locator(".mt-metrics").first).to_contain_text("poster → genres: mAP")
        with page.expect_popup() as opened:
            section.get_by_role("link", name="The whole report").click()
        whole = opened.value
        expect(whole.locator("h2", has_text="Genre")).to_be_visible()
        expect(whole.locator(".plots svg").first).to_be_visible()
        expect(whole.locator(".confusion").first).to_be_visible()
    finally:
        report = report_of(small_bundle)
        shutil.rmtree(report.with_suffix(".cards"))
        for suffix in (".json", ".md", ".html"):
            report.with_suffix(suffix).unlink()


def test_a_film_opens_beside_the_wall_and_starts_the_next_search(page: Page, site: Site) -> None:
    open_tab(page, site, "discover")
    page.locator("#discover-examples .mt-example").first.click()
    card = page.locator("#discover-result .mt-card").first
    card.focus()
    page.keyboard.press("Enter")
    panel = page.locator("#mt-film .mt-film")
    panel.wait_for()
    expect(panel.locator(".mt-close")).to_be_focused()
    panel.locator("h3", has_text="Films like it").wait_for()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(card).to_be_focused()

    card.click()
    panel.get_by_role("button", name="More like this").click()
    expect(page.locator("#tab-similar-button")).to_have_attribute("aria-selected", "true")
    page.locator("#similar-result .mt-card").first.click()
    panel.get_by_role("button", name="Predict its genres").click()
    expect(page.locator("#tab-both-button")).to_have_attribute("aria-selected", "true")
    page.locator("#both-result .mt-result").wait_for()


def test_posters_are_shown_with_words_and_films_without_one_are_typeset(page: Page, site: Site) -> None:
    open_tab(page, site, "catalogue")
    page.locator("#catalogue-result .mt-card").first.wait_for()
    for card in page.locator("#catalogue-result .mt-card").all():
        assert card.locator(".mt-typeset").count() == 1
        for image in card.locator("img").all():
            assert (image.get_attribute("alt") or "").startswith("Poster of ")
    images = page.locator("#catalogue-result img")
    if images.count():
        images.first.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('#catalogue-result img').naturalWidth > 0")


def test_a_button_without_input_says_what_is_missing(page: Page, site: Site) -> None:
    open_tab(page, site, "discover")
    for tab, button, words in (
        ("discover", "discover-run", "Say what you would like to see"),
        ("chat", "chat-run", "Say what you would like to see"),
        ("poster", "poster-multi", "Choose a poster first"),
        ("plot", "plot-single", "Write or paste a plot first"),
        ("both", "both-multi", "Give a poster, a plot, or both"),
        ("similar", "similar-both", "Choose films, write a plot or choose a poster first"),
        ("check", "check-run", "Choose a poster first"),
    ):
        page.locator(f"#tab-{tab}-button").click()
        page.locator(f"#{button}").click()
        expect(page.locator(f"#{tab}-result .mt-hint")).to_contain_text(words)


def test_the_call_can_be_copied(page: Page, site: Site) -> None:
    open_tab(page, site, "plot")
    page.locator("#plot-text textarea").fill(PLOT)
    run(page, "plot-multi", "plot-result")
    page.get_by_text("The call and its raw answer").click()
    as_curl, as_json = (page.locator("#plot-result button[data-copy]").nth(number) for number in (0, 2))
    expect(as_curl).to_have_text("Copy as curl")
    as_curl.click()
    expect(as_curl).to_have_text("Copied")
    assert f"{site.api}/v1/genres/plot" in page.evaluate("navigator.clipboard.readText()")
    as_curl.click()  # while it says "Copied": its own words must come back all the same
    expect(as_curl).to_have_text("Copy as curl")
    expect(as_json).to_have_text("Copy as JSON")
    as_json.click()
    expect(as_json).to_have_text("Copied")
    page.wait_for_function("navigator.clipboard.readText().then((copied) => copied.startsWith('{'))")
    assert "genres" in json.loads(page.evaluate("navigator.clipboard.readText()"))


def test_dark_and_light_are_a_choice_that_is_kept(page: Page, site: Site) -> None:
    open_tab(page, site, "discover")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Switch between dark and light").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    page.locator("#discover-examples .mt-example").first.wait_for()
    assert page.evaluate(ground) == dark


def test_nothing_is_wider_than_a_small_phone(page: Page, site: Site) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    open_tab(page, site, "discover")
    for tab in TABS:
        page.locator(f"#tab-{tab}-button").click()
        example = page.locator(f"#{tab}-examples .mt-example").first
        if example.count():
            example.click()
            page.locator(f"#{tab}-result .mt-result").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, tab


def test_a_file_that_is_no_image_is_refused_in_words_with_an_id(browser: Browser, site: Site) -> None:
    # A page of its own: Chromium reports the preview that it cannot draw as an error.
    page = browser.new_page()
    open_tab(page, site, "check")
    upload(page, "check-image", b"This is not an image.")
    page.locator("#check-run").click()
    problem = page.locator("#check-result .mt-problem")
    expect(problem).to_contain_text("JPEG, PNG or WebP")
    expect(problem).to_contain_text("Request id")
    assert "Traceback" not in page.content()
    page.close()
