#!/usr/bin/env bash
# Opens a report in headless Chromium and checks that every chart in it was drawn, without an error of the script and
# without the network. Usage: tests/report_in_browser.sh REPORT.html [SCREENSHOT.png [WIDTH,HEIGHT]]
# The browser is $CHROMIUM, else the first of chromium, chromium-browser and google-chrome that is there.
set -euo pipefail

fail() {
    echo "report_in_browser: $1" >&2
    exit 1
}

[[ $# -ge 1 && $# -le 3 ]] || fail "expected REPORT.html [SCREENSHOT.png [WIDTH,HEIGHT]]"
[[ -f $1 ]] || fail "$1: no such file"
report=$(realpath "$1")
browser=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
[[ -n $browser ]] || fail "no Chromium found; set CHROMIUM"

profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
open_page() {
    "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars \
        --disable-background-networking --disable-component-update --disable-sync --user-data-dir="$profile" \
        --virtual-time-budget=10000 "$@" "file://$report" 2>>"$profile/log"
}

dom=$profile/dom.html
open_page --window-size=1280,1000 --dump-dom >"$dom" || fail "the browser failed: $(tail -n 3 "$profile/log")"

# What the script of the page leaves on the root element.
root=$(grep -o -m1 '<html[^>]*>' "$dom")
[[ $root != *data-error* ]] || fail "the page's script failed: $root"

mapfile -t charts < <(grep -o '<div class="chart[^>]*>' "$dom" | grep -o 'id="chart-[a-z0-9-]*"' | cut -d'"' -f2)
if [[ ${#charts[@]} -eq 0 ]]; then
    grep -q 'id="empty"' "$dom" || fail "no chart on the page, and nothing says why"
else
    [[ $root == *"data-drawn=\"${#charts[@]}\""* ]] || fail "not all of ${#charts[@]} charts were drawn: $root"
fi
for chart in "${charts[@]}"; do
    # What plotly.js drew: the chart's figure up to its data, and in it the layers of lines, points and heat maps (the
    # legend, which comes after, has lines of its own).
    awk -v RS='<figure ' -v id="id=\"$chart\"" 'index($0, id) { sub(/<script.*/, ""); print }' "$dom" >"$profile/figure"
    grep -q 'class="main-svg"' "$profile/figure" || fail "$chart was not drawn"
    awk -v RS='<g class="' '/^[a-z]+layer/ { on = /^(scatter|heatmap)layer/ } on' "$profile/figure" >"$profile/layer"
    grep -Eq '<path class="(js-line|point)"[^>]* d="M|<image [^>]*href="data:image' "$profile/layer" || fail "$chart shows no data"
done

if [[ $# -ge 2 ]]; then
    open_page --window-size="${3:-1280,1000}" --screenshot="$(realpath -m "$2")" >/dev/null
fi
echo "report_in_browser: ${#charts[@]} charts drawn"
