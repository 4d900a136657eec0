// What no map can show: how many, why, which; each opens its record, and the message that it came from for who may see messages.
import type { JSX } from "preact";
import { useAsk, usePages } from "../../lib/api.ts";
import { coded } from "../../lib/codes.ts";
import { subsystemName } from "../../lib/county.ts";
import { coordinates, dateTimeSeconds, number } from "../../lib/format.ts";
import { link, route } from "../../lib/router.ts";
import { may } from "../../lib/session.ts";
import { useStream } from "../../lib/stream.ts";
import { Failed, Loading } from "../../part/states.tsx";
import { PagedTable, Table, type Column } from "../../part/table.tsx";
import { t } from "./words.ts";
import "./unplaced.css";

const EVERY_S = 60;

type What = "device" | "case" | "message";
interface Count {
  what: What;
  what_zh: string;
  flaw: string;
  flaw_zh: string;
  count: number;
}
interface Unplaced {
  device?: number;
  case?: string;
  message?: number | null;
  name_zh: string;
  code: string;
  subsystem: string | null;
  vendor: string | null;
  vendor_zh: string | null;
  kind_zh?: string | null;
  at: string | null;
  flaw: string;
  flaw_zh: string;
  lon?: number | null;
  lat?: number | null;
  shown?: boolean;
  reason?: string;
  records?: number;
}

/** "none" alone says nothing in English. */
const flawName = (key: string, name: string | undefined): string => coded(key === "none" ? "no_place" : key, name);

const messageLink = (id: number): string => link("operate/quarantine", { message: id });

/** The thing's own place in the page. */
function Name({ one }: { one: Unplaced }): JSX.Element {
  const words = one.name_zh === "" ? one.code : one.name_zh;
  if (one.device !== undefined) return <a href={link(`map/device/${one.device}`)}>{words}</a>;
  if (one.case !== undefined) return <a href={link(`desk/${encodeURIComponent(one.case)}`, { queue: "all" })}>{words}</a>;
  return (
    <a href={messageLink(one.message!)}>
      <code>{words}</code>
    </a>
  );
}

function Things({ what, flaw, title }: { what: What; flaw: string; title: string }): JSX.Element {
  const list = usePages<Unplaced>("unplaced", "things", { what, ...(flaw !== "" && { flaw }) });
  const said = (one: Unplaced): string => (one.lon === null || one.lon === undefined || one.lat === null || one.lat === undefined ? "–" : coordinates(one.lon, one.lat));
  const columns: Column<Unplaced>[] = [
    { key: "name", title: t("name"), cell: (one) => <Name one={one} /> },
    {
      key: "why",
      title: t("why"),
      cell: (one) => (
        <>
          <span class="warn">{flawName(one.flaw, one.flaw_zh)}</span>{" "}
          <span class="quiet">
            {one.shown === true && t("shown")}
            <span lang="en">{one.reason}</span>
            {(one.records ?? 0) > 1 && ` · ${t("records", one.records!)}`}
          </span>
        </>
      ),
    },
    ...(what === "message" ? [] : [{ key: "said", title: t("said"), cell: said, wide: true }, { key: "kind", title: t("kind"), cell: (one: Unplaced) => one.kind_zh ?? "–", wide: true }]),
    { key: "vendor", title: t("vendor"), cell: (one) => (one.subsystem === null ? "–" : `${subsystemName(one.subsystem)} · ${one.vendor_zh ?? one.vendor ?? "–"}`), wide: true },
    { key: "at", title: t("at"), cell: (one) => dateTimeSeconds(one.at), wide: true },
    ...(what === "device" && may("operate")
      ? [{ key: "message", title: t("message"), cell: (one: Unplaced) => (one.message === null || one.message === undefined ? "–" : <a href={messageLink(one.message)}>#{one.message}</a>) }]
      : []),
  ];
  return (
    <>
      <h2 class="unplaced-list">{t("list", title)}</h2>
      <PagedTable label={t("list", title)} list={list} rowKey={(one) => one.device ?? one.case ?? one.message ?? one.code} columns={columns} />
    </>
  );
}

export default function UnplacedView(): JSX.Element {
  // Nothing here comes by the stream; whether there is one is seen in the frame's head.
  useStream({ counter: () => undefined }, () => undefined);
  const asked = useAsk<{ total: number; counts: Count[] }>("unplaced/counts", {}, EVERY_S);
  const { parameters } = route.value;
  const back = (
    <p>
      <a href={link("map")}>← {t("back")}</a>
    </p>
  );
  if (asked.data === undefined) return <div class="page">{asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />}</div>;
  const { counts } = asked.data;
  const kinds = [...new Map(counts.map((one) => [one.what, one.what_zh]))];
  const flaws = [...new Map(counts.map((one) => [one.flaw, one.flaw_zh]))];
  const what = kinds.find(([key]) => key === parameters["what"])?.[0] ?? kinds[0]?.[0];
  const flaw = parameters["flaw"] ?? "";
  const kindName = (key: string): string => coded(key, kinds.find(([known]) => known === key)?.[1]);
  const count = (which: What, why: string): JSX.Element | string => {
    const found = counts.filter((one) => one.what === which && (why === "" || one.flaw === why)).reduce((sum, one) => sum + one.count, 0);
    if (found === 0) return "0";
    const words = `${kindName(which)} ${why === "" ? t("any") : flawName(why, flaws.find(([key]) => key === why)?.[1])}`;
    return (
      <a href={link("unplaced", { what: which, flaw: why })} data-number={found} aria-label={`${words} ${number(found)}`} aria-current={which === what && why === flaw ? "true" : undefined}>
        {number(found)}
      </a>
    );
  };
  return (
    <div class="page unplaced">
      {back}
      <h1>{t("title")}</h1>
      <p class="quiet">{t("intro")}</p>
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      {counts.length === 0 ? (
        <p class="good">● {t("good")}</p>
      ) : (
        <Table
          label={t("title")}
          rows={[...flaws, ["", ""] as const]}
          rowKey={([key]) => key}
          columns={[
            { key: "why", title: t("why"), cell: ([key, name]) => (key === "" ? <strong>{t("all")}</strong> : flawName(key, name)) },
            ...kinds.map(([key, name]) => ({ key, title: coded(key, name), numeric: true, cell: ([why]: readonly [string, string]) => count(key, why) })),
          ]}
        />
      )}
      {what !== undefined && <Things key={`${what}/${flaw}`} what={what} flaw={flaw} title={`${kindName(what)} · ${flaw === "" ? t("any") : flawName(flaw, flaws.find(([key]) => key === flaw)?.[1])}`} />}
    </div>
  );
}
