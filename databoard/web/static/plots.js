// Draws the elements with data-plot from the JSON that they name, in the colours of the page.

const interpreter = document.querySelector("[data-plot]") && (await import("./vendor/vega-interpreter-2.3.2.js"));
const { vega, vegaLite } = globalThis;

function colours() {
  const of = (selector, what = "color") => getComputedStyle(document.querySelector(selector))[what];
  return { ink: of("body"), accent: of(".brand"), line: of("footer", "borderTopColor") };
}

const SPECS = {
  time: ({ score, is_lower_the_better: isLower }, { ink, accent }) => ({
    height: 280,
    encoding: { x: { field: "at", type: "temporal", title: null } },
    layer: [
      {
        mark: { type: "point", filled: true, opacity: 0.55, color: ink },
        encoding: {
          y: { field: "score", type: "quantitative", title: score, scale: { zero: false, reverse: isLower } },
          tooltip: ["team", "submission", "score", "at"].map((field) => ({ field })),
        },
      },
      {
        mark: { type: "line", interpolate: "step-after", color: accent, strokeWidth: 2.5 },
        encoding: { y: { field: "best", type: "quantitative" } },
      },
    ],
  }),
  distribution: ({ score }, { accent }) => ({
    height: 220,
    mark: { type: "bar", color: accent },
    encoding: {
      x: { field: "score", bin: { maxbins: 24 }, title: score },
      y: { aggregate: "count", title: "submissions", axis: { tickMinStep: 1 } },
    },
  }),
  contributivity: (_, { accent }) => ({
    transform: [
      { filter: "datum.contributivity > 0" },
      { calculate: "datum.team + ': ' + datum.submission", as: "who" },
      { window: [{ op: "row_number", as: "place" }], sort: [{ field: "contributivity", order: "descending" }] },
      { filter: "datum.place <= 20" },
    ],
    height: { step: 20 },
    mark: { type: "bar", color: accent },
    encoding: {
      y: { field: "who", type: "nominal", sort: "-x", title: null },
      x: { field: "contributivity", type: "quantitative" },
    },
  }),
  folds: ({ score }, { ink, accent }) => ({
    height: 110,
    layer: [
      {
        mark: { type: "point", filled: true, size: 90, color: accent },
        encoding: {
          x: { field: "score", type: "quantitative", title: `${score} on each fold, mean and spread`, scale: { zero: false } },
          tooltip: ["fold", "score"].map((field) => ({ field })),
        },
      },
      { mark: { type: "errorband", extent: "stdev", color: ink, opacity: 0.12 }, encoding: { x: { field: "score", type: "quantitative" } } },
      { mark: { type: "rule", color: ink }, encoding: { x: { field: "score", aggregate: "mean", type: "quantitative" } } },
    ],
  }),
};

async function draw(element) {
  const answer = await fetch(element.dataset.source);
  if (!answer.ok) return;
  const data = await answer.json();
  const palette = colours();
  const { ink, line } = palette;
  const spec = {
    ...SPECS[element.dataset.plot](data, palette),
    data: { values: data.points },
    width: Math.max(260, element.clientWidth),
    autosize: { type: "fit-x", contains: "padding" },
    background: null,
    config: {
      font: "system-ui, sans-serif",
      view: { stroke: null },
      axis: { labelColor: ink, titleColor: ink, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12, labelLimit: 160, tickCount: 6 },
    },
  };
  const compiled = vegaLite.compile(spec).spec;
  const view = new vega.View(vega.parse(compiled, null, { ast: true }), {
    expr: interpreter.expressionInterpreter,
    renderer: "canvas",
    container: element,
    hover: true,
  });
  await view.runAsync();
}

for (const element of document.querySelectorAll("[data-plot]")) draw(element);
