// Being above: what counties report, side by side: a column a county, a row a figure.
import type { JSX } from "preact";
import { useAsk } from "../../lib/api.ts";
import { coded } from "../../lib/codes.ts";
import { ago, number } from "../../lib/format.ts";
import { link, route } from "../../lib/router.ts";
import { useStream } from "../../lib/stream.ts";
import { Filters, type Filter } from "../../part/filters.tsx";
import { Empty, Failed, Loading } from "../../part/states.tsx";
import { Table } from "../../part/table.tsx";
import { t } from "./words.ts";
import "./counties.css";

const EVERY_S = 60;

interface County {
  county: string;
  name_zh: string;
  records: number;
  corrections: number;
  received_at: string | null;
  month: string | null;
  statistics: Record<string, number>;
  scores: { department: string; name_zh: string | null; score: number | null }[];
}
interface Measure {
  measure: string;
  name_zh: string;
}

function Statistics({ counties, measures }: { counties: County[]; measures: Measure[] }): JSX.Element {
  const facts: { key: string; name: string; of: (one: County) => string }[] = [
    { key: "month", name: t("month"), of: (one) => one.month ?? "–" },
    { key: "received", name: t("received"), of: (one) => (one.received_at === null ? "–" : ago(one.received_at)) },
    { key: "records", name: t("records"), of: (one) => number(one.records) },
    { key: "corrections", name: t("corrections"), of: (one) => number(one.corrections) },
  ];
  const told = measures.filter((one) => counties.some((county) => county.statistics[one.measure] !== undefined));
  const rows = [
    ...facts,
    ...told.map((one) => ({ key: one.measure, name: coded(one.measure, one.name_zh), of: (county: County) => (county.statistics[one.measure] === undefined ? "–" : number(county.statistics[one.measure])) })),
  ];
  return (
    <div class="counties-wide" tabIndex={0} role="region" aria-label={t("statistics")}>
      <Table
        label={t("statistics")}
        scrolls
        rows={rows}
        rowKey={(row) => row.key}
        columns={[{ key: "measure", title: t("measure"), cell: (row) => row.name }, ...counties.map((one) => ({ key: one.county, title: one.name_zh || one.county, numeric: true, cell: (row: (typeof rows)[number]) => row.of(one) }))]}
      />
    </div>
  );
}

function Scores({ one }: { one: County }): JSX.Element {
  const ranked = [...one.scores].sort((a, b) => (b.score ?? -Infinity) - (a.score ?? -Infinity));
  return (
    <section>
      <h3>
        {one.name_zh || one.county} {one.month}
      </h3>
      {ranked.length === 0 ? (
        <p class="quiet">{t("noScores")}</p>
      ) : (
        <Table
          label={`${one.name_zh} ${t("scores")}`}
          rows={ranked}
          rowKey={(row) => row.department}
          columns={[
            { key: "department", title: t("department"), cell: (row) => row.name_zh ?? row.department },
            { key: "score", title: t("score"), numeric: true, cell: (row) => (row.score === null ? "–" : number(row.score, 2)) },
          ]}
        />
      )}
    </section>
  );
}

export default function Counties(): JSX.Element {
  // What counties report does not come by the stream; whether there is one is seen in the frame's head.
  useStream({ counter: () => undefined }, () => undefined);
  const filters: Filter[] = [{ key: "month", title: t("month"), kind: "month" }];
  const asked = useAsk<{ counties: County[]; measures: Measure[] }>("counties", { month: route.value.parameters["month"] ?? "" }, EVERY_S);
  return (
    <div class="page counties">
      <p>
        <a href={link("operate/upstream")}>← {t("back")}</a>
      </p>
      <h1>{t("title")}</h1>
      <p class="quiet">{t("intro")}</p>
      <Filters filters={filters} />
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      {asked.data === undefined ? (
        !asked.problem && <Loading />
      ) : asked.data.counties.length === 0 ? (
        <Empty>{t("none")}</Empty>
      ) : (
        <>
          <Statistics counties={asked.data.counties} measures={asked.data.measures} />
          <h2>{t("scores")}</h2>
          <div class="counties-scores">
            {asked.data.counties.map((one) => (
              <Scores key={one.county} one={one} />
            ))}
          </div>
        </>
      )}
    </div>
  );
}
