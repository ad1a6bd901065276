// Sorting and filtering of the verdict table; nothing is fetched.
(() => {
  const table = document.getElementById("verdicts");
  const body = table.tBodies[0];
  const controls = [...document.querySelectorAll(".filters [data-column]")];
  const shown = document.getElementById("shown");
  const key = (row, column) => {
    const cell = row.cells[column];
    const raw = cell.dataset.sort ?? cell.textContent.trim();
    const number = Number(raw);
    return raw === "" || Number.isNaN(number) ? raw.toLowerCase() : number;
  };
  const compare = (a, b) => {
    // Missing values go last, numbers before words.
    if (a === "" || b === "") return (a === "") - (b === "");
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a < b ? -1 : a > b ? 1 : 0;
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
    const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    [...body.rows]
      .map((row) => [key(row, column), row])
      .sort((a, b) => (a[0] === "" || b[0] === "" ? 1 : sign) * compare(a[0], b[0]))
      .forEach(([, row]) => body.append(row));
  }));
  const filter = () => {
    let count = 0;
    for (const row of body.rows) {
      const keep = controls.every((control) => {
        const wanted = control.value.toLowerCase();
        const column = control.dataset.column;
        if (column === "all") return row.textContent.toLowerCase().includes(wanted);
        return wanted === "" || row.dataset[column] === control.value;
      });
      row.hidden = !keep;
      count += keep;
    }
    shown.textContent = `${count} of ${body.rows.length} rows`;
  };
  controls.forEach((control) => control.addEventListener("input", filter));
  const open = (address) => {
    const target = document.getElementById(decodeURIComponent(address.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link) open(link.getAttribute("href"));
  });
  open(location.hash);
  filter();
})();
