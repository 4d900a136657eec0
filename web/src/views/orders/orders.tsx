// Orders of the hotlines: the list with its clocks, and one order with what was said, answered and done. The filter is the address's.
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { address, useAsk, usePages } from "../../lib/api.ts";
import { coded, whoName } from "../../lib/codes.ts";
import { coordinates, dateTime, duration, now, shortTime } from "../../lib/format.ts";
import { link, route } from "../../lib/router.ts";
import { useStream } from "../../lib/stream.ts";
import { Facts, type Fact } from "../../part/facts.tsx";
import { Filters, filtered, type Filter } from "../../part/filters.tsx";
import { Failed, Loading } from "../../part/states.tsx";
import { PagedTable, Table, type Column } from "../../part/table.tsx";
import { Act } from "./act.tsx";
import { STATES, type Order, type WholeOrder } from "./order-types.ts";
import { t } from "./words.ts";
import "./orders.css";

const EVERY_MS = 30_000;

const STATE_COLOURS: Record<Order["state"], string> = { received: "warn", signed: "", returned: "quiet", answered: "good", visited: "good" };

const State = ({ one }: { one: Order }): JSX.Element => (
  <span class={STATE_COLOURS[one.state]}>
    {t(one.state)}
    {one.urgent && <strong class="bad"> ▲ {t("urgent")}</strong>}
  </span>
);

/** What runs now, or whether it was in time. An order's clocks run day and night. */
function Clock({ one }: { one: Order }): JSX.Element {
  if (one.state === "returned") return <span class="quiet">{t("stopped")}</span>;
  if (one.state === "answered" || one.state === "visited") {
    if (one.answer_overdue) return <span class="bad">{t("answeredLate")}</span>;
    return one.sign_overdue ? <span class="warn">{t("signedLate")}</span> : <span class="good">{t("inTime")}</span>;
  }
  const signing = one.state === "received";
  const seconds = (Date.parse(signing ? one.sign_by : one.answer_by) - now.value) / 1000;
  const words = seconds < 0 ? t(signing ? "signOver" : "answerOver", duration(-seconds)) : t(signing ? "signLeft" : "answerLeft", duration(seconds));
  return <span class={seconds < 0 ? "bad" : seconds < 3600 ? "warn" : ""}>{words}</span>;
}

const Cases = ({ one }: { one: Order }): JSX.Element =>
  one.cases.length === 0 ? (
    <span class="quiet">–</span>
  ) : (
    <span class="row">
      {one.cases.map((found) => (
        <a key={found.case} href={link(`desk/${encodeURIComponent(found.case)}`, { queue: "all" })}>
          {found.case}
        </a>
      ))}
    </span>
  );

function OrderList(): JSX.Element {
  const filters: Filter[] = [
    { key: "state", title: t("state"), kind: "choice", choices: STATES.map((state) => ({ value: state, title: t(state) })) },
    { key: "overdue", title: t("overdue"), kind: "choice", choices: [{ value: "true", title: t("overdueYes") }, { value: "false", title: t("overdueNo") }] },
    { key: "source", title: t("source"), kind: "text" },
  ];
  const list = usePages<Order>("orders", "orders", filtered(filters));
  useEffect(() => {
    const timer = setInterval(list.reload, EVERY_MS);
    return () => clearInterval(timer);
  }, [list.reload]);
  const columns: Column<Order>[] = [
    { key: "state", title: t("state"), cell: (one) => <State one={one} /> },
    { key: "clock", title: t("clock"), cell: (one) => <Clock one={one} /> },
    {
      key: "what",
      title: t("what"),
      cell: (one) => (
        <>
          <a href={link(`orders/${encodeURIComponent(one.order)}`, route.value.parameters)}>{one.title === "" ? one.order : one.title}</a>{" "}
          <span class="quiet">
            {one.round > 1 && t("round", one.round)} {one.reminder_count > 0 && t("reminded", one.reminder_count)}
          </span>
        </>
      ),
    },
    { key: "number", title: t("number"), cell: (one) => `${one.source} ${one.external_number}`, wide: true },
    { key: "address", title: t("address"), cell: (one) => one.address, wide: true },
    { key: "received", title: t("received_at"), cell: (one) => shortTime(one.received_at), wide: true },
    { key: "cases", title: t("cases"), cell: (one) => <Cases one={one} />, wide: true },
  ];
  return (
    <>
      <h1>{t("title")}</h1>
      <p class="quiet">{t("intro")}</p>
      <Filters filters={filters} />
      <PagedTable label={t("title")} empty={Object.keys(filtered(filters)).length === 0 ? t("noneYet") : undefined} list={list} rowKey={(one) => one.order} columns={columns} />
    </>
  );
}

function OrderFacts({ one }: { one: WholeOrder }): JSX.Element {
  const late = (text: string, over: boolean): JSX.Element => <span class={over ? "bad" : ""}>{text}</span>;
  const rows: Fact[] = [
    [t("number"), `${one.source} ${one.external_number}`],
    [t("received_at"), dateTime(one.received_at)],
    [t("sign_by"), late(dateTime(one.sign_by), one.sign_overdue)],
    [t("signed_at"), dateTime(one.signed_at)],
    [t("answer_by"), late(dateTime(one.answer_by), one.answer_overdue)],
    [t("answered_at"), dateTime(one.answered_at)],
    [t("visited_at"), dateTime(one.visited_at)],
    [t("address"), one.address === "" ? "–" : one.address],
    [t("place"), one.lon === null || one.lat === null ? "–" : <a href={link("map", { at: `${one.lon.toFixed(5)},${one.lat.toFixed(5)},16` })}>{coordinates(one.lon, one.lat)}</a>],
    [t("cases"), <Cases one={one} />],
  ];
  return <Facts className="orders-facts" rows={rows} />;
}

function Answer({ one }: { one: WholeOrder }): JSX.Element {
  return (
    <section>
      <h2>{t("answer")}</h2>
      {one.answer === null ? <p class="quiet">{t("noAnswer")}</p> : <p class="orders-text">{one.answer}</p>}
      {one.result !== null && (
        <p>
          {t("result")}: <strong>{t(`result${one.result}`)}</strong>
          {one.satisfaction !== null && ` · ${t("satisfaction")}: ${t(one.satisfaction)}`}
        </p>
      )}
      {one.attachments.length > 0 && (
        <ul class="orders-files" aria-label={t("files")}>
          {one.attachments.map((file) => {
            const path = address(`orders/${encodeURIComponent(one.order)}/attachments/${file.sha256}`);
            return (
              <li key={file.sha256}>
                <a href={path} target="_blank" rel="noopener noreferrer">
                  {file.media_type.startsWith("image/") ? <img src={path} alt={t("files")} loading="lazy" /> : file.media_type}
                </a>
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}

function OneOrder({ number }: { number: string }): JSX.Element {
  const asked = useAsk<WholeOrder>(`orders/${encodeURIComponent(number)}`, {}, EVERY_MS / 1000);
  const one = asked.data;
  const back = (
    <p>
      <a href={link("orders", route.value.parameters)}>← {t("back")}</a>
    </p>
  );
  if (one === undefined) return <>{back}{asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />}</>;
  return (
    <>
      {back}
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      <h1>{one.title === "" ? one.order : one.title}</h1>
      <p class="row">
        <code>{one.order}</code> <State one={one} /> <Clock one={one} /> {one.round > 1 && <span>{t("round", one.round)}</span>} {one.reminder_count > 0 && <span class="warn">{t("reminded", one.reminder_count)}</span>}
      </p>
      <Act order={one} onDone={asked.reload} />
      <div class="orders-whole">
        <section>
          <h2>{t("content")}</h2>
          <p class="orders-text">{one.content}</p>
          <OrderFacts one={one} />
        </section>
        <Answer one={one} />
      </div>
      <h2>{t("journal")}</h2>
      <Table
        label={t("journal")}
        rows={[...one.journal].reverse()}
        rowKey={(step) => step.version}
        columns={[
          { key: "at", title: t("at"), cell: (step) => dateTime(step.at) },
          { key: "action", title: t("do"), cell: (step) => (step.action === "receive" ? t("receive") : coded(step.action, step.action_zh)) },
          { key: "actor", title: t("by"), cell: (step) => whoName(step.actor) },
          { key: "reason", title: t("reason"), cell: (step) => step.reason ?? "–" },
        ]}
      />
    </>
  );
}

export default function Orders(): JSX.Element {
  // Orders do not come by the stream: they are asked for anew. Whether there is one is seen in the frame's head.
  useStream({ counter: () => undefined }, () => undefined);
  const number = route.value.path[0];
  return <div class="page orders">{number === undefined ? <OrderList /> : <OneOrder key={number} number={number} />}</div>;
}
