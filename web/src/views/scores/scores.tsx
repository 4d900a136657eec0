// The monthly assessment: ranking, why each score is what it is, comparison, statistics, what was entered, what is missing, publication.
import type { JSX } from "preact";
import { useAsk } from "../../lib/api.ts";
import { number, total } from "../../lib/format.ts";
import { go, link, route, setParameters } from "../../lib/router.ts";
import { Sparkline } from "../../part/chart.tsx";
import { Empty, Failed, Loading } from "../../part/states.tsx";
import { Table, type Column } from "../../part/table.tsx";
import { Compare, StatisticsTable } from "./statistics.tsx";
import { Entries } from "./entries.tsx";
import { Explain } from "./explain.tsx";
import { useMonth } from "./follow.ts";
import { Change, monthShown, moved } from "./figure.tsx";
import type { Assessment, Row, Status } from "./scores-types.ts";
import { Progress } from "./progress.tsx";
import { t } from "./words.ts";
import "./scores.css";

const TABS = ["ranking", "compare", "statistics", "entries", "status"] as const;
const FOLLOW_S = 60;

interface Year {
  rows: { department: string; totals: { month: string; total: number }[] }[];
}

function Ranking({ assessment, month }: { assessment: Assessment; month: string }): JSX.Element {
  const before = useAsk<Assessment>(`assessments/${moved(month, -1)}`);
  const lastYear = useAsk<Assessment>(`assessments/${moved(month, -12)}`);
  const year = useAsk<Year>(`assessments/years/${month.slice(0, 4)}`);
  if (assessment.rows.length === 0) return <Empty>{t("nobody")}</Empty>;
  const of = (asked: Assessment | undefined, row: Row) => asked?.rows.find((other) => other.department === row.department)?.total;
  const totals = (row: Row) => year.data?.rows.find((other) => other.department === row.department)?.totals ?? [];
  const columns: Column<Row>[] = [
    { key: "rank", title: t("rank"), numeric: true, cell: (row) => row.rank ?? "–" },
    { key: "department", title: t("department"), cell: (row) => row.name },
    { key: "total", title: t("total"), numeric: true, cell: (row) => (row.total === null ? <span class="warn">{t("missingTotal", row.missing.length)}</span> : <a href={link(`scores/department/${row.department}`, { month })} aria-label={`${row.name} ${t("total")} ${total(row.total)}`}><strong>{total(row.total)}</strong></a>) },
    { key: "grade", title: t("grade"), cell: (row) => row.grade ?? "–" },
    { key: "change", title: t("change"), numeric: true, cell: (row) => <Change now={row.total} before={of(before.data, row)} decimals={2} /> },
    { key: "year", title: t("yearChange"), numeric: true, wide: true, cell: (row) => <Change now={row.total} before={of(lastYear.data, row)} decimals={2} /> },
    { key: "digital", title: t("digital"), numeric: true, cell: (row) => number(row.digital, 2) },
    { key: "campaigns", title: t("campaigns"), numeric: true, wide: true, cell: (row) => number(row.campaign_mean, 2) },
    { key: "bonus", title: t("bonus"), numeric: true, wide: true, cell: (row) => number(row.bonus, 1) },
    { key: "deducted", title: t("deducted"), numeric: true, wide: true, cell: (row) => number(row.deducted, 1) },
    {
      key: "trend",
      title: t("trend"),
      wide: true,
      cell: (row) => {
        const points = totals(row).map((one) => [Date.parse(`${one.month}-01`), null, one.total, null, null, 1, 0] as const);
        return points.length < 2 ? <span class="quiet">–</span> : <Sparkline points={points as never} label={`${row.name} ${points.map((point) => point[2]).join(" ")}`} />;
      },
    },
  ];
  // Without a total there is no rank: then by the digital score.
  const rows = [...assessment.rows].sort((a, b) => (a.rank ?? Infinity) - (b.rank ?? Infinity) || (b.digital ?? -1) - (a.digital ?? -1) || a.name.localeCompare(b.name));
  return (
    <>
      <Table label={t("ranking")} columns={columns} rows={rows} rowKey={(row) => row.department} onOpen={(row) => go(`scores/department/${row.department}`, { month })} />
      {assessment.findings.length > 0 && (
        <>
          <h2 class="scores-gap">{t("findings")}</h2>
          <ul class="scores-findings">
            {assessment.findings.map((finding, place) => (
              <li key={place}>
                <strong>{finding.name}</strong> {finding.text}{" "}
                <span class="quiet">
                  {t("clause", finding.clause)}
                  {finding.amount_yuan !== null && ` · ${t("yuan", number(finding.amount_yuan))}`}
                  {finding.undecided !== null && ` · ${t("undecided", finding.undecided)}`}
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

export default function Scores(): JSX.Element {
  const month = monthShown();
  const { path } = route.value;
  const department = path[0] === "department" ? path[1] : undefined;
  const tab = TABS.find((one) => one === path[0]) ?? "ranking";
  const assessment = useAsk<Assessment>(`assessments/${month}`, {}, FOLLOW_S);
  const status = useAsk<Status>(`assessments/${month}/status`);
  const reload = () => {
    assessment.reload();
    status.reload();
  };
  useMonth(month, reload);
  const state = status.data === undefined ? "" : status.data.published ? t("published") : status.data.closed ? t("closedOnly") : status.data.ended ? t("unpublished") : t("running");
  return (
    <div class="page scores">
      <div class="scores-head">
        <h1>
          {t("title")} {month}
        </h1>
        <div class="row">
          <button type="button" aria-label={moved(month, -1)} onClick={() => setParameters({ month: moved(month, -1) })}>
            ◀
          </button>
          <label class="row">
            <span class="quiet">{t("month")}</span>
            <input type="month" value={month} onChange={(event) => setParameters({ month: event.currentTarget.value })} />
          </label>
          <button type="button" aria-label={moved(month, 1)} onClick={() => setParameters({ month: moved(month, 1) })}>
            ▶
          </button>
        </div>
        <strong class={status.data?.published ? "good" : "warn"}>{state}</strong>
        <nav class="scores-tabs" aria-label={t("title")}>
          {TABS.map((one) => (
            <a key={one} href={link(one === "ranking" ? "scores" : `scores/${one}`, { month })} aria-current={department === undefined && one === tab ? "page" : undefined}>
              {t(one)}
            </a>
          ))}
        </nav>
      </div>
      {assessment.problem && <Failed problem={assessment.problem} retry={reload} />}
      {department !== undefined ? (
        <Explain month={month} department={department} row={assessment.data?.rows.find((row) => row.department === department)} />
      ) : tab === "compare" ? (
        <Compare month={month} />
      ) : tab === "statistics" ? (
        <StatisticsTable month={month} />
      ) : assessment.data === undefined ? (
        !assessment.problem && <Loading />
      ) : tab === "entries" ? (
        <Entries month={month} assessment={assessment.data} status={status.data} onChanged={reload} />
      ) : tab === "status" ? (
        status.data === undefined ? status.problem ? <Failed problem={status.problem} retry={status.reload} /> : <Loading /> : <Progress month={month} status={status.data} onChanged={reload} />
      ) : (
        <Ranking assessment={assessment.data} month={month} />
      )}
    </div>
  );
}
