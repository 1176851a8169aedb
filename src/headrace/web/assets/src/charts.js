// Charts of what stands in a table beside them: <canvas data-chart="<id of the table>">. The table is the truth, and is
// there without script; its head names the series, its first column the points.
import { BarController, BarElement, CategoryScale, Chart, Legend, LinearScale, LineController, LineElement, PointElement, Tooltip } from "chart.js";

Chart.register(BarController, BarElement, CategoryScale, Legend, LinearScale, LineController, LineElement, PointElement, Tooltip);
const drawn = new Map();

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function draw(canvas) {
  const table = document.getElementById(canvas.dataset.chart);
  const heads = [...table.tHead.rows[0].cells].slice(1);
  const rows = [...table.tBodies[0].rows];
  const flat = canvas.dataset.direction === "across";
  const grid = { color: token("border"), drawTicks: false };
  const ticks = { color: token("muted-foreground"), font: { family: "Inter Variable, sans-serif", size: 11 }, padding: 6, maxRotation: 0 };
  const values = { beginAtZero: true, border: { display: false }, grid, ticks: { ...ticks, maxTicksLimit: 5, callback: (v) => v.toLocaleString("en") + (canvas.dataset.unit ?? "") }, stacked: true };
  const names = { border: { display: false }, grid: { display: false }, ticks: { ...ticks, autoSkipPadding: 18 }, stacked: true };
  drawn.get(canvas)?.destroy();
  drawn.set(canvas, new Chart(canvas, {
    type: canvas.dataset.type ?? "bar",
    data: {
      labels: rows.map((row) => row.cells[0].dataset.short ?? row.cells[0].textContent.trim()),
      datasets: heads.map((head, place) => ({
        label: head.textContent.trim(),
        data: rows.map((row) => Number(row.cells[place + 1].dataset.value)),
        backgroundColor: token(head.dataset.colour), borderColor: token(head.dataset.colour),
        borderRadius: 2, borderWidth: canvas.dataset.type === "line" ? 2 : 0, pointRadius: 0, pointHitRadius: 12, maxBarThickness: 22,
      })),
    },
    options: {
      indexAxis: flat ? "y" : "x", animation: false, responsive: true, maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false, axis: flat ? "y" : "x" },
      scales: flat ? { x: values, y: names } : { x: names, y: values },
      plugins: {
        legend: { display: heads.length > 1, align: "end", labels: { color: token("muted-foreground"), boxWidth: 8, boxHeight: 8, font: ticks.font } },
        tooltip: {
          backgroundColor: token("popover"), titleColor: token("popover-foreground"), bodyColor: token("popover-foreground"),
          borderColor: token("border"), borderWidth: 1, padding: 10, cornerRadius: 6, boxPadding: 4,
          callbacks: { title: (items) => rows[items[0].dataIndex].cells[0].textContent.trim() },
        },
      },
    },
  }));
}

const drawAll = () => document.querySelectorAll("canvas[data-chart]").forEach(draw);
drawAll();
addEventListener("headrace:theme", drawAll);
