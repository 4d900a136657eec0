// The one table: rows of a list of the API. Rows that open something are reached with Tab once, then with the arrow keys, and opened with
// Enter. It renders what it is given: lists come by pages of 100, so there are never thousands of rows unless somebody asked for them.
import type { ComponentChildren, JSX } from "preact";
import type { Paged } from "../lib/api.ts";
import { dictionary } from "../lib/words.ts";
import { Empty, Failed, Loading } from "./states.tsx";

const t = dictionary({ more: "再看 {0} 条之后", all: "共 {0} 条", some: "已载入 {0} 条" }, { more: "More after {0}", all: "{0} in all", some: "{0} loaded" });

export interface Column<T> {
  key: string;
  title: string;
  cell: (row: T) => ComponentChildren;
  /** Figures stand on the right. */
  numeric?: boolean;
  /** Left out where the table is narrow. */
  wide?: boolean;
}

interface Properties<T> {
  /** For screen readers: what the table lists. */
  label: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T) => string | number;
  onOpen?: (row: T) => void;
  /** The row that is open. */
  current?: string | number | null;
  rowClass?: (row: T) => string;
  /** What it stands in scrolls sideways: it stays a table on a phone, too. */
  scrolls?: boolean;
}

/** More columns than these are no table any more where a phone shows them: each row is a card, its values under their names. */
const PHONE_COLUMNS = 3;

function onKey(event: KeyboardEvent): void {
  const row = event.currentTarget as HTMLElement;
  const steps: Record<string, Element | null | undefined> = {
    ArrowDown: row.nextElementSibling,
    ArrowUp: row.previousElementSibling,
    Home: row.parentElement?.firstElementChild,
    End: row.parentElement?.lastElementChild,
  };
  const next = steps[event.key];
  if (next instanceof HTMLElement) {
    event.preventDefault();
    next.focus();
  } else if (event.key === "Enter" && event.target === row) {
    row.click();
  }
}

export function Table<T>({ label, columns, rows, rowKey, onOpen, current, rowClass, scrolls = false }: Properties<T>): JSX.Element {
  const narrow = columns.filter((column) => !column.wide);
  const classOf = (column: Column<T>): string => `${column.numeric ? "numeric" : ""} ${column.wide ? "wide" : ""} ${column === narrow[0] ? "lead" : ""}`;
  return (
    <table class={`table ${!scrolls && narrow.length > PHONE_COLUMNS ? "cards" : ""}`} aria-label={label}>
      <thead>
        <tr>
          {columns.map((column) => (
            <th key={column.key} scope="col" class={classOf(column)}>
              {column.title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, place) => {
          const key = rowKey(row);
          return (
            <tr
              key={key}
              class={rowClass?.(row) ?? ""}
              aria-current={current === key ? "true" : undefined}
              {...(onOpen && { tabIndex: place === 0 || current === key ? 0 : -1, onClick: () => onOpen(row), onKeyDown: onKey, "data-opens": "" })}
            >
              {columns.map((column) => (
                <td key={column.key} data-title={column.title} class={classOf(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** A table of a paged list, with what stands around it: under way, nothing, refused, more. */
export function PagedTable<T>({ list, empty, ...table }: { list: Paged<T>; empty?: string | undefined } & Omit<Properties<T>, "rows">): JSX.Element {
  if (list.rows.length === 0) {
    if (list.problem) return <Failed problem={list.problem} retry={list.reload} />;
    return list.loading ? <Loading /> : <Empty>{empty}</Empty>;
  }
  return (
    <>
      <Table {...table} rows={list.rows} />
      {list.problem && <Failed problem={list.problem} retry={list.more} />}
      <p class="quiet" role="status">
        {t(list.whole ? "all" : "some", list.rows.length)}{" "}
        {!list.whole && (
          <button type="button" disabled={list.loading} onClick={list.more}>
            {t("more", list.rows.length)}
          </button>
        )}
      </p>
    </>
  );
}
