// Draws the charts from the JSON beside them, marks the turning points, and keeps the step axes of all charts alike.
"use strict";
(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const charts = [...document.querySelectorAll(".chart")];
  const overSteps = charts.filter((chart) => chart.dataset.axis === "step");
  // Without a pointer that hovers, a drag scrolls the page and the buttons over a chart would always cover it.
  const canHover = matchMedia("(hover: hover)").matches;
  let stepAxis = "linear";

  const ink = "#5a626c";
  const line = "#d5d8dc";
  const grid = "#eceef0";
  const theme = {
    layout: {
      font: { family: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif', size: 12, color: ink },
      paper_bgcolor: "#ffffff",
      plot_bgcolor: "#ffffff",
      modebar: { bgcolor: "rgba(255,255,255,0.85)", color: "#b9bfc7", activecolor: ink },
      hoverlabel: { bgcolor: "#ffffff", bordercolor: line, font: { color: "#1d2228", size: 12 }, align: "left", namelength: -1 },
    },
  };
  const axis = {
    gridcolor: grid,
    linecolor: line,
    zeroline: false,
    zerolinecolor: "#c4c8cd",
    showline: true,
    ticks: "outside",
    ticklen: 4,
    tickcolor: line,
    automargin: true,
    exponentformat: "power",
    hoverformat: ".4~g",
  };
  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: canHover ? "hover" : false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d"],
    doubleClick: "reset",
  };

  // Steps 0 and below have no place on a logarithmic axis.
  const stepRange = () => {
    if (stepAxis === "linear") {
      const margin = Math.max(page.last - page.first, 1) * 0.01;
      return [page.first - margin, page.last + margin];
    }
    const first = Math.log10(Math.max(page.first, 1));
    const last = Math.log10(Math.max(page.last, 2));
    return [first - 0.02 * (last - first), last + 0.02 * (last - first)];
  };

  // Where a step lies between the ends of the axis, 0 to 1.
  const fraction = (step) => {
    const [low, high] = stepRange();
    return ((stepAxis === "log" ? Math.log10(Math.max(step, 1)) : step) - low) / (high - low);
  };

  // A label stands to the right of its line; to the left where the next label or the edge is in its way; and where that
  // has no room either, a row higher than the labels before.
  const marks = (chart) => {
    const width = chart._fullLayout?.xaxis._length ?? chart.clientWidth - 72;
    let free = width;
    let row = 0;
    const placed = [...page.marks].sort((a, b) => b.step - a.step).map((mark) => {
      const label = `${mark.label} ${mark.step.toLocaleString("en")}`;
      const at = fraction(mark.step) * width;
      const length = 6.6 * label.length;
      let isRight = at + length <= free;
      if (!isRight && at < length) {
        isRight = true;
        row += 1;
      } else {
        free = isRight ? at : at - length;
      }
      return { mark, text: label + "<br>\u00a0".repeat(row), isRight };
    });
    return placed.map(({ mark, text, isRight }) => ({
      type: "line",
      xref: "x",
      yref: "paper",
      x0: mark.step,
      x1: mark.step,
      y0: 0,
      y1: 1,
      layer: "above",
      line: { color: "#7d858f", width: 1, dash: "dot" },
      label: {
        text,
        textposition: "end",
        textangle: 0,
        xanchor: isRight ? "left" : "right",
        yanchor: "bottom",
        padding: 2,
        font: { size: 11, color: ink },
      },
    }));
  };

  const topMargin = (shapes) => 24 + 14 * Math.max(0, ...shapes.map((shape) => shape.label.text.split("<br>").length - 1));

  const layoutOf = (chart, own) => {
    const isWide = chart.clientWidth > 700;
    const layout = {
      ...own,
      template: theme,
      autosize: true,
      margin: { l: 58, r: 14, t: 24, b: 44 },
      legend: { orientation: "h", x: 0, y: isWide ? -0.17 : -0.2, yanchor: "top", font: { size: 12 }, itemwidth: 30 },
      dragmode: canHover ? "zoom" : false,
      yaxis: { ...axis, ...own.yaxis },
      xaxis: { ...axis, ...own.xaxis },
    };
    // An axis of signed logarithms marks its zero: it is where the sign changes.
    layout.yaxis.title = { ...own.yaxis.title, standoff: 8 };
    if (chart.dataset.axis === "step") {
      layout.hovermode = "x unified";
      layout.shapes = marks(chart);
      layout.margin.t = topMargin(layout.shapes);
      layout.xaxis.type = stepAxis;
      layout.xaxis.range = stepRange();
      layout.xaxis.title = { text: "step", standoff: 6 };
      layout.xaxis.tickformat = ",d";
      layout.xaxis.hoverformat = ",d";
    } else {
      layout.hovermode = "closest";
      layout.xaxis.title = { ...own.xaxis.title, standoff: 6 };
    }
    return layout;
  };

  // The cursor of the chart under the pointer shows in the others too.
  const cursors = new Map();
  const showCursor = (source, step) => {
    for (const [chart, cursor] of cursors) {
      const x = chart._fullLayout.xaxis;
      const at = x.d2p(step);
      if (chart === source || !(at >= 0 && at <= x._length)) {
        cursor.style.display = "none";
        continue;
      }
      const y = chart._fullLayout.yaxis;
      Object.assign(cursor.style, {
        display: "block",
        left: `${x._offset + at}px`,
        top: `${y._offset}px`,
        height: `${y._length}px`,
      });
    }
  };
  const hideCursors = () => cursors.forEach((cursor) => (cursor.style.display = "none"));

  // The steps of every line, as they are in the data.
  const steps = new Map();

  // Zooming into steps zooms all charts; `isFollowing` keeps their answers from echoing.
  let isFollowing = false;
  const follow = async (source, change) => {
    if (isFollowing) return;
    const range = change["xaxis.range"] ?? [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (range[0] === undefined && !change["xaxis.autorange"]) return;
    isFollowing = true;
    const target = range[0] === undefined ? stepRange() : range;
    const others = overSteps.filter((chart) => (chart !== source || range[0] === undefined) && chart._fullLayout);
    await Promise.all(others.map((chart) => Plotly.relayout(chart, { "xaxis.range": [...target] })));
    isFollowing = false;
  };

  const draw = async (chart) => {
    const figure = JSON.parse(document.getElementById(`${chart.id}-data`).textContent);
    // On a phone the entries of the legend stand one below the other; the chart grows by them, not its plot smaller.
    if (chart.clientWidth < 450) {
      const entries = figure.data.filter((trace) => trace.showlegend !== false && trace.visible !== false).length;
      chart.style.height = `${chart.clientHeight + 17 * Math.max(0, entries - 2)}px`;
    }
    await Plotly.newPlot(chart, figure.data, layoutOf(chart, figure.layout), config);
    if (chart.dataset.axis !== "step") return;
    steps.set(chart, figure.data.map((trace) => trace.x));
    const cursor = document.createElement("div");
    cursor.className = "cursor";
    chart.parentElement.append(cursor);
    cursors.set(chart, cursor);
    chart.on("plotly_hover", (event) => showCursor(chart, event.points[0].x));
    chart.on("plotly_unhover", hideCursors);
    chart.on("plotly_relayout", (change) => follow(chart, change));
  };

  const setStepAxis = (chart) => {
    // A line from step 0 would come in from beyond the left end of a logarithmic axis.
    const shown = stepAxis === "log" ? (x) => x.map((step) => (step > 0 ? step : null)) : (x) => x;
    const shapes = marks(chart);
    const change = { "xaxis.type": stepAxis, "xaxis.range": stepRange(), shapes, "margin.t": topMargin(shapes) };
    return Plotly.update(chart, { x: steps.get(chart).map(shown) }, change);
  };

  const press = (group, pressed) =>
    group.querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", button === pressed));

  for (const group of document.querySelectorAll("[data-tabs]")) {
    group.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const chart = document.getElementById(group.dataset.tabs);
      const visible = chart.data.map((trace) => trace.meta === undefined || trace.meta === Number(button.dataset.tab));
      Plotly.restyle(chart, { visible });
      press(group, button);
    });
  }

  for (const button of document.querySelectorAll("[data-step-axis]")) {
    button.addEventListener("click", async () => {
      stepAxis = button.dataset.stepAxis;
      press(button.parentElement, button);
      hideCursors();
      isFollowing = true;
      await Promise.all(overSteps.filter((chart) => chart._fullLayout).map(setStepAxis));
      isFollowing = false;
    });
  }

  // One chart at a time, so that the page can be read while the rest of it is drawn.
  const root = document.documentElement;
  addEventListener("error", (event) => (root.dataset.error = event.message));
  addEventListener("unhandledrejection", (event) => (root.dataset.error = String(event.reason)));
  (async () => {
    for (const chart of charts) {
      await draw(chart);
      await new Promise((next) => setTimeout(next));
    }
    root.dataset.drawn = String(charts.length);
  })();
})();
