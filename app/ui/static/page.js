"use strict";
// What the pages do without asking the server: deep links, dark and light, copying, the keyboard.
(() => {
  const TAB = /^#([a-z]+)$/;
  const button = (name) => document.getElementById(`tab-${name}-button`);

  // Deep links: /#poster opens that tab, and the address follows the tab that is open.
  let wanted = null; // the tab the address asks for, until it is open
  function followAddress() {
    const match = TAB.exec(location.hash);
    wanted = match && button(match[1]) ? match[1] : null;
    openWanted(20);
  }
  // While Gradio is still setting the page up, it takes a click without hearing it.
  function openWanted(tries) {
    followTabs();
    if (!wanted) return;
    if (tries === 0) wanted = null;
    else {
      button(wanted).click();
      setTimeout(() => openWanted(tries - 1), 150);
    }
  }
  document.addEventListener("click", (event) => {
    if (event.isTrusted && event.target.closest("[role=tab]")) wanted = null; // a person has chosen
  }, true);
  let openBefore = null;
  function followTabs() {
    const open = document.querySelector("#mt-tabs [role=tab][aria-selected=true]");
    if (!open || !open.id.endsWith("-button")) return;
    const name = open.id.slice("tab-".length, -"-button".length);
    if (wanted === name) wanted = null;
    // Only a tab that has just been opened changes the address: one that a person has just entered is to be followed.
    if (wanted || name === openBefore) return;
    openBefore = name;
    // The line of tabs scrolls on a phone; it is laid out a moment after it is there.
    setTimeout(() => open.scrollIntoView({ block: "nearest", inline: "center" }), 200);
    if (location.hash !== `#${name}`) history.replaceState(null, "", `#${name}`);
    document.title = `${open.textContent.trim()} · Matinee`;
  }

  // Dark and light: the system's choice until a person makes one.
  const stored = () => { try { return localStorage.getItem("matinee-theme"); } catch { return null; } };
  function applyTheme() {
    const choice = stored();
    if (choice) document.body.classList.toggle("dark", choice === "dark");
  }
  function switchTheme() {
    const next = document.body.classList.contains("dark") ? "light" : "dark";
    try { localStorage.setItem("matinee-theme", next); } catch { /* private windows forget */ }
    document.body.classList.toggle("dark", next === "dark");
  }

  async function copy(from) {
    let done = true;
    try {
      await navigator.clipboard.writeText(from.dataset.copy);
    } catch {
      // Pages that are not served over HTTPS have no clipboard; a selection still works.
      const area = document.createElement("textarea");
      area.value = from.dataset.copy;
      document.body.append(area);
      area.select();
      done = document.execCommand("copy");
      area.remove();
    }
    // Kept on the button: a second click may come while it still says "Copied".
    from.dataset.words ??= from.textContent;
    from.textContent = done ? "Copied" : "Select and copy it below";
    clearTimeout(from.restoring);
    from.restoring = setTimeout(() => { from.textContent = from.dataset.words; }, 1500);
  }

  document.addEventListener("click", (event) => {
    const on = event.target.closest("[data-copy],[data-act=theme],[data-act=plot]");
    if (!on) return;
    if (on.dataset.copy !== undefined) copy(on);
    else if (on.dataset.act === "theme") switchTheme();
    else {
      button("plot").click();
      setTimeout(() => document.querySelector("#plot-text textarea")?.focus(), 100);
    }
  });

  // A poster that cannot be loaded leaves the typeset card under it.
  document.addEventListener("error", (event) => {
    if (!(event.target instanceof HTMLImageElement)) return;
    if (event.target.classList.contains("mt-img")) event.target.remove();
    else event.target.alt = "This file cannot be shown as an image.";
  }, true);

  // The open film: Escape closes it, and the focus goes in and back.
  let openedFrom = null;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") shownFilm()?.querySelector(".mt-close").click();
  });
  // Closing needs no answer from anybody. What still comes for a film that was closed must not open it again.
  const closed = new Set();
  const shownFilm = () => document.querySelector("#mt-film .mt-film:not([hidden])");
  document.addEventListener("click", (event) => {
    const film = event.target.closest("[data-act]")?.closest("#mt-film .mt-film");
    if (!film) return;
    closed.add(film.dataset.opening);
    followFilm();
  });
  function followFilm() {
    for (const late of document.querySelectorAll("#mt-film .mt-film")) {
      if (closed.has(late.dataset.opening)) late.hidden = true;
    }
    const film = shownFilm();
    if (film && !document.body.classList.contains("mt-film-open")) {
      openedFrom = document.activeElement;
      document.body.classList.add("mt-film-open");
      film.querySelector(".mt-close").focus({ preventScroll: true });
    } else if (!film && document.body.classList.contains("mt-film-open")) {
      document.body.classList.remove("mt-film-open");
      if (openedFrom?.isConnected) openedFrom.focus({ preventScroll: true });
    }
  }

  // Below the inputs, as on a phone, an answer would appear out of sight.
  let shown = null;
  function followAnswer() {
    const working = [...document.querySelectorAll(".mt-answer .mt-working")].find((hint) => hint.offsetParent);
    if (working && working !== shown && working.getBoundingClientRect().top > 0.8 * window.innerHeight) {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      working.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
    }
    shown = working ?? null;
  }

  let linked = false;
  function settle() {
    if (!document.querySelector("#mt-tabs [role=tab]")) return;
    if (!linked) {
      linked = true;
      applyTheme();
      followAddress();
    }
    followTabs();
    followFilm();
    followAnswer();
  }
  new MutationObserver(settle).observe(document.body, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["aria-selected"],
  });
  window.addEventListener("hashchange", followAddress);
  settle();
})();
