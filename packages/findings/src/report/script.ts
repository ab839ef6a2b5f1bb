/**
 * The only script of a report: search box, severity filter, and opening everything for print. The page needs none of it:
 * without script the controls stay hidden and everything is shown.
 */

/** Plain JavaScript for browsers, without `</` in it. */
export const SCRIPT = `
(function () {
  'use strict';
  var form = document.getElementById('filter');
  var items = Array.prototype.slice.call(document.querySelectorAll('[data-severity]'));
  var everything = document.querySelectorAll('details');

  if (form && items.length > 1) {
    var search = form.querySelector('input[type=search]');
    var boxes = Array.prototype.slice.call(form.querySelectorAll('input[type=checkbox]'));
    var status = document.getElementById('filter-status');
    var texts = null;
    var waiting = 0;

    var apply = function () {
      var words = search.value.toLowerCase().split(' ').filter(Boolean);
      var severities = boxes.filter(function (box) { return box.checked; }).map(function (box) { return box.value; });
      if (words.length > 0 && texts === null) {
        texts = items.map(function (item) { return item.textContent.toLowerCase(); });
      }
      var shown = 0;
      items.forEach(function (item, index) {
        var fits = severities.indexOf(item.dataset.severity) >= 0 &&
          words.every(function (word) { return texts[index].indexOf(word) >= 0; });
        item.hidden = !fits;
        if (fits) shown += 1;
      });
      var all = shown === items.length;
      status.textContent = all ? '' : 'Filtered: ' + shown + ' of ' + items.length + ' entries are shown.';
    };

    form.addEventListener('submit', function (event) { event.preventDefault(); });
    form.addEventListener('reset', function () { setTimeout(apply, 0); });
    form.addEventListener('change', apply);
    search.addEventListener('input', function () {
      clearTimeout(waiting);
      waiting = setTimeout(apply, 150);
    });
    form.querySelectorAll('button[data-open]').forEach(function (button) {
      button.addEventListener('click', function () {
        document.querySelectorAll('details[data-severity], details[data-list]').forEach(function (one) {
          one.open = button.dataset.open === 'true';
        });
      });
    });
    form.hidden = false;
    // a browser may have kept what was filled in before the page was loaded again
    apply();
  }

  var opened = [];
  window.addEventListener('beforeprint', function () {
    opened = Array.prototype.filter.call(everything, function (one) { return !one.open; });
    opened.forEach(function (one) { one.open = true; });
  });
  window.addEventListener('afterprint', function () {
    opened.forEach(function (one) { one.open = false; });
    opened = [];
  });
})();
`;
