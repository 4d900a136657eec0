// Rates of three months beside each other (环比, 同比), and the month's figures by whatever they can be counted by. Each number opens its cases.
import type { JSX } from "preact";
import { useAsk } from "../../lib/api.ts";
import { coded } from "../../lib/codes.ts";
import { departmentName } from "../../lib/county.ts";
import { share } from "../../lib/format.ts";
import { route, setParameters } from "../../lib/router.ts";
import { Empty, Failed, Loading } from "../../part/states.tsx";
import { Table } from "../../part/table.tsx";
import { Change, Figure, moved } from "./figure.tsx";
import type { Statistics } from "./scores-types.ts";
import { t } from "./words.ts";

/** Less of it is better. */
const BAD = ["overdue_rate", "rework_rate", "return_rate"];

export function Compare({ month }: { month: string }): JSX.Element {
  const months = [month, moved(month, -1), moved(month, -12)];
  const asked = [
    useAsk<Statistics>("scores/statistics", { month: months[0]!, by: "all" }),
    useAsk<Statistics>("scores/statistics", { month: months[1]!, by: "all" }),
    useAsk<Statistics>("scores/statistics", { month: months[2]!, by: "all" }),
  ];
  const now = asked[0]!;
  if (now.data === undefined) return now.problem ? <Failed problem={now.problem} retry={now.reload} /> : <Loading />;
  const names = new Map(now.data.measures.map((one) => [one.measure, one.name_zh]));
  const row = (place: number) => asked[place]?.data?.rows[0];
  const cell = (place: number, rate: Statistics["rates"][number]) => {
    const found = row(place);
    if (found === undefined) return <span class="quiet">{asked[place]!.loading ? "…" : "–"}</span>;
    const figures = (measures: string[]) =>
      measures.map((measure, at) => {
        const plain = measure.replace(/^-/, "");
        return (
          <span key={measure}>
            {at > 0 && (measure.startsWith("-") ? "−" : "+")}
            <Figure value={found.measures[plain]} statistic={plain} month={months[place]!} label={coded(plain, names.get(plain))} />
          </span>
        );
      });
    return (
      <>
        <strong>{share(found.rates[rate.rate] === null || found.rates[rate.rate] === undefined ? null : found.rates[rate.rate]! / 100)}</strong>
        <span class="quiet scores-fraction">
          {figures(rate.numerator)} / {figures(rate.denominator)}
        </span>
      </>
    );
  };
  const change = (place: number, rate: string) => <Change now={row(0)?.rates[rate]} before={row(place)?.rates[rate]} decimals={1} better={BAD.includes(rate) ? -1 : 1} />;
  return (
    <Table
      label={t("compare")}
      rows={now.data.rates}
      rowKey={(rate) => rate.rate}
      columns={[
        { key: "rate", title: t("rate"), cell: (rate) => coded(rate.rate, rate.name_zh) },
        { key: "now", title: `${t("thisMonth")} ${months[0]}`, numeric: true, cell: (rate) => cell(0, rate) },
        { key: "before", title: `${t("lastMonth")} ${months[1]}`, numeric: true, wide: true, cell: (rate) => cell(1, rate) },
        { key: "change", title: t("change"), numeric: true, cell: (rate) => change(1, rate.rate) },
        { key: "year", title: `${t("lastYear")} ${months[2]}`, numeric: true, wide: true, cell: (rate) => cell(2, rate) },
        { key: "yearChange", title: t("yearChange"), numeric: true, cell: (rate) => change(2, rate.rate) },
      ]}
    />
  );
}

const DIMENSIONS = ["department", "source", "category", "street", "grid_cell", "all"] as const;
/** By which parameter a list has the cases of a row. */
const PARAMETER: Record<string, string> = { department: "department", source: "source", category: "category", street: "grid_cell", grid_cell: "grid_cell" };
/** The list's filter for a row; what has no key is opened as having none. */
function listOf(by: string, key: string): Record<string, string> {
  const parameter = PARAMETER[by];
  if (parameter === undefined) return {};
  return key === "" ? { [`no_${parameter}`]: "true" } : { [parameter]: key };
}
const SHOWN = "reported registered dispatched should_handle handled handled_in_time overdue returned rework_times extended suspended should_close closed closed_in_time satisfied dissatisfied".split(" ");

export function StatisticsTable({ month }: { month: string }): JSX.Element {
  const by = DIMENSIONS.find((one) => one === route.value.parameters["by"]) ?? "department";
  const asked = useAsk<Statistics>("scores/statistics", { month, by });
  const words = useAsk<{ sources: { source: string; name_zh: string }[]; categories: { code: string; name_zh: string }[] }>("cases/words");
  const name = (row: Statistics["rows"][number]): string => {
    if (by === "all") return t("by_all");
    if (row.key === "") return t(by === "department" ? "notDispatched" : "without");
    if (by === "department") return departmentName(row.key);
    if (by === "source") return coded(row.key, words.data?.sources.find((one) => one.source === row.key)?.name_zh);
    if (by === "category") return `${row.key} ${words.data?.categories.find((one) => one.code === row.key)?.name_zh ?? ""}`;
    return row.key;
  };
  return (
    <>
      <label class="row scores-by">
        <span class="quiet">{t("by")}</span>
        <select value={by} onChange={(event) => setParameters({ by: event.currentTarget.value })}>
          {DIMENSIONS.map((one) => (
            <option key={one} value={one}>
              {t(`by_${one}`)}
            </option>
          ))}
        </select>
      </label>
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      {asked.data === undefined ? (
        !asked.problem && <Loading />
      ) : asked.data.rows.length === 0 ? (
        <Empty />
      ) : (
        <div class="scores-wide" tabIndex={0} role="region" aria-label={t("statistics")}>
          <Table
            label={t("statistics")}
            scrolls
            rows={asked.data.rows}
            rowKey={(row) => row.key}
            columns={[
              { key: "name", title: t("name"), cell: name },
              ...asked.data.measures
                .filter((measure) => SHOWN.includes(measure.measure))
                .map((measure) => ({
                  key: measure.measure,
                  title: coded(measure.measure, measure.name_zh),
                  numeric: true,
                  cell: (row: Statistics["rows"][number]) => (
                    <Figure value={row.measures[measure.measure]} statistic={measure.measure} month={month} where={listOf(by, row.key)} label={`${name(row)} ${coded(measure.measure, measure.name_zh)}`} />
                  ),
                })),
            ]}
          />
        </div>
      )}
    </>
  );
}
