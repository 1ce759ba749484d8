(function () {
  "use strict";
  // Filter state stands in the fragment as `#?verdict=fail&q=login`; any other fragment is an anchor.
  var names = ["q", "verdict", "role", "group"], fields = {}, opened = [];
  function byId(id) { return document.getElementById(id); }
  function all(selector, root) { return Array.prototype.slice.call((root || document).querySelectorAll(selector)); }
  names.forEach(function (name) { fields[name] = byId(name); });
  var printing = byId("print"), shown = byId("shown");
  var kinds = [["items", "item"], ["cases", "case"], ["findings", "finding"]];
  var rows = all(".row").map(function (row) { return { row: row, groups: row.dataset.group.split(" "), text: null }; });

  // The text of a row is only put together when somebody searches; a body that stands elsewhere on
  // the page belongs to it all the same.
  function textOf(r) {
    if (r.text === null) {
      var same = all("a.same:not(.there)", r.row).map(function (a) { return target(a.hash).textContent; });
      r.text = (r.row.textContent + "\n" + same.join("\n")).toLowerCase();
    }
    return r.text;
  }
  function target(hash) {
    try { return byId(decodeURIComponent(hash.slice(1))); } catch (e) { return null; }
  }
  function apply() {
    var words = fields.q.value.toLowerCase().split(/\s+/).filter(Boolean), count = {}, total = {};
    var active = words.length > 0 || names.some(function (n) { return fields[n].value !== ""; });
    kinds.forEach(function (k) { count[k[1]] = total[k[1]] = 0; });
    rows.forEach(function (r) {
      var data = r.row.dataset, kind = kinds.filter(function (k) { return r.row.classList.contains(k[1]); })[0][1];
      var fits = (!fields.verdict.value || data.verdict === fields.verdict.value) &&
        (!fields.role.value || data.role === fields.role.value) &&
        (!fields.group.value || r.groups.indexOf(fields.group.value) >= 0) &&
        (!words.length || words.every(function (w) { return textOf(r).indexOf(w) >= 0; }));
      r.row.hidden = !fits; total[kind] += 1; count[kind] += fits ? 1 : 0;
    });
    all(".group").forEach(function (group) {
      group.hidden = !group.querySelector(".row:not([hidden])");
      if (active && !group.hidden) { group.open = true; }
    });
    shown.textContent = (active ? "Filtered: " : "") + kinds.map(function (k) { return count[k[1]] + " of " + total[k[1]] + " " + k[0]; }).join(", ") + " shown";
    shown.classList.toggle("filtered", active);
    document.documentElement.classList.toggle("all", printing.checked);
  }
  function store() {
    var state = new URLSearchParams();
    names.forEach(function (n) { if (fields[n].value) { state.set(n, fields[n].value); } });
    if (printing.checked) { state.set("print", "all"); }
    // A place of its own in the history for every key would make "back" useless.
    try { history.replaceState(null, "", "#" + (state.toString() ? "?" + state : "")); } catch (e) { /* only the link is lost */ }
    apply();
  }
  function load() {
    if (location.hash.slice(0, 2) === "#?") {
      var state = new URLSearchParams(location.hash.slice(2));
      names.forEach(function (n) { fields[n].value = state.get(n) || ""; if (fields[n].selectedIndex < 0) { fields[n].value = ""; } });
      printing.checked = state.get("print") === "all";
    }
    apply();
    var at = location.hash.length > 1 && target(location.hash);
    if (!at) { return; }
    for (var e = at; e; e = e.parentElement) { e.hidden = false; if (e.tagName === "DETAILS") { e.open = true; } }
    at.scrollIntoView({ block: at.tagName === "MARK" ? "center" : "start" });
  }
  // A text that is written once is shown wherever it belongs.
  function fill(root) {
    all("a.same:not(.there)", root).forEach(function (a) {
      var first = target(a.hash);
      if (!first || (a.closest("details") && !a.closest("details").open)) { return; }
      var copy = first.cloneNode(true);
      copy.removeAttribute("id"); a.classList.add("there"); a.parentNode.insertBefore(copy, a.nextSibling);
    });
  }
  document.addEventListener("toggle", function (e) { if (e.target.open) { fill(e.target); } }, true);
  names.forEach(function (n) { fields[n].addEventListener("input", store); });
  printing.addEventListener("change", store);
  byId("clear").addEventListener("click", function () { names.forEach(function (n) { fields[n].value = ""; }); store(); fields.q.focus(); });
  document.addEventListener("keydown", function (e) {
    var typing = /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName);
    if (e.key === "/" && !typing && !e.ctrlKey && !e.metaKey && !e.altKey) { e.preventDefault(); fields.q.focus(); }
    if (e.key === "Escape" && e.target === fields.q) { fields.q.value = ""; store(); }
  });
  window.addEventListener("hashchange", load);
  // Style sheets unfold for paper where the browser can; the others are helped, and put back after.
  window.addEventListener("beforeprint", function () {
    opened = all(printing.checked ? "details:not([open])" : "details.fold:not(.case):not([open])");
    opened.forEach(function (d) { d.open = true; });
    if (printing.checked) { fill(document); }
  });
  window.addEventListener("afterprint", function () { opened.forEach(function (d) { d.open = false; }); });
  byId("controls").hidden = false; load();
}());
