// Why a department has the score that it has: every item with its figures, and the cases that cost points. Each number opens its list.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useAsk } from "../../lib/api.ts";
import { coded } from "../../lib/codes.ts";
import { dateTime, number, share, total } from "../../lib/format.ts";
import { link } from "../../lib/router.ts";
import { Failed, Loading } from "../../part/states.tsx";
import { Figure } from "./figure.tsx";
import { useMonth } from "./follow.ts";
import type { Costing, Explanation, Item, Row, Statistics } from "./scores-types.ts";
import { t } from "./words.ts";

const FIRST = 12;

function Cases({ costing }: { costing: Costing[] }): JSX.Element {
  const [all, setAll] = useState(false);
  if (costing.length === 0) return <span class="quiet">{t("nothingLost")}</span>;
  return (
    <span class="scores-cases">
      {(all ? costing : costing.slice(0, FIRST)).map((one) => (
        <a key={`${one.case} ${one.points ?? ""}`} href={link(`desk/${one.case}`, { queue: "all" })}>
          {one.case}
          {one.points !== undefined ? ` −${number(one.points)}` : one.times > 1 ? ` ×${one.times}` : ""}
        </a>
      ))}
      {!all && costing.length > FIRST && (
        <button type="button" onClick={() => setAll(true)}>
          {t("moreCases", costing.length)}
        </button>
      )}
    </span>
  );
}

interface HowProperties {
  item: Item;
  month: string;
  department: string;
  names: (measure: string) => string;
  values: Record<string, number> | undefined;
}

/** The figures of an item. Where the rule counts a part of the cases alone, a list has the same part, or there is no link. */
function How({ item, month, department, names, values }: HowProperties): JSX.Element {
  const { where = {}, numerator, denominator } = item.rule;
  const listed = Object.keys(where).every((key) => key === "urgent");
  const filter = { department, ...(where["urgent"] !== undefined && { urgent: String(where["urgent"]) }) };
  const plain = Object.keys(where).length === 0;
  const one = (measure: string, value: number | undefined) => (
    <span key={measure}>
      {names(measure.replace(/^-/, ""))} {listed && value !== undefined ? <Figure value={value} statistic={measure.replace(/^-/, "")} month={month} where={filter} label={names(measure)} /> : (value ?? "")}
      {plain && (value ?? 0) > 0 && (
        <a class="scores-on-map" href={link("map", { list: "case", statistic: measure.replace(/^-/, ""), month, department, inview: false })} aria-label={t("onMap", names(measure))} title={t("onMap", names(measure))}>
          {" "}
          ⌖
        </a>
      )}
    </span>
  );
  const several = (measures: string[], whole: number | undefined) =>
    measures.map((measure, place) => (
      <span key={measure}>
        {place > 0 && (measure.startsWith("-") ? " − " : " + ")}
        {one(measure, measures.length === 1 ? whole : plain ? values?.[measure.replace(/^-/, "")] : undefined)}
      </span>
    ));
  if (numerator && denominator) {
    return (
      <>
        {item.rate !== null && item.rate !== undefined && <strong>{share(item.rate / 100)}</strong>} = {several(numerator, item.numerator)} ÷ {denominator.length > 1 && "("}
        {several(denominator, item.denominator)}
        {denominator.length > 1 && ")"}
      </>
    );
  }
  return (
    <>
      {(item.counts ?? []).map((count, place) => (
        <span key={place}>
          {place > 0 && "; "}
          {several(count.measures, count.times)} × {number(count.points)}
        </span>
      ))}
    </>
  );
}

function Parts({ row }: { row: Row }): JSX.Element {
  return (
    <>
      <h2 class="scores-gap">{t("parts")}</h2>
      <table class="table" aria-label={t("parts")}>
        <tbody>
          {row.scores.map((one) => (
            <tr key={one.item}>
              <th scope="row">{one.name}</th>
              <td class="numeric">{one.score === null ? <span class={one.entered ? "quiet" : "warn"}>{t(one.entered ? "notConcerned" : "notEntered")}</span> : number(one.score, 2)}</td>
              <td>{one.evidence ?? ""}</td>
              <td class="quiet wide">{one.author === null ? "" : `${t("entered", one.office ?? "–", one.author)} ${dateTime(one.entered_at)}`}</td>
            </tr>
          ))}
          {row.awards.map((one) => (
            <tr key={one.kind}>
              <th scope="row">{one.name}</th>
              <td class={`numeric ${one.points < 0 ? "bad" : "good"}`}>
                {one.points > 0 ? "+" : "−"}
                {number(Math.abs(one.points))}
              </td>
              <td>{t("times", one.times)}</td>
              <td class="quiet wide">{t("clause", one.clause)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

export function Explain({ month, department, row }: { month: string; department: string; row: Row | undefined }): JSX.Element {
  const asked = useAsk<Explanation>(`scores/${month}/departments/${encodeURIComponent(department)}`);
  useMonth(month, asked.reload);
  const statistics = useAsk<Statistics>("scores/statistics", { month, by: "department", department });
  const one = asked.data;
  if (one === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
  const names = (measure: string) => coded(measure, statistics.data?.measures.find((known) => known.measure === measure)?.name_zh ?? measure);
  return (
    <>
      <p class="row">
        <a href={link("scores", { month })}>← {t("back")}</a>
      </p>
      <h2>
        {one.name}: {one.score === null ? t("noScore") : t("why", number(one.score, 2))} <span class="quiet">{t("digital")}</span>
        {row?.total !== null && row?.total !== undefined && (
          <span class="quiet">
            {" "}
            · {t("total")} {total(row.total)} · {row.grade}
          </span>
        )}
      </h2>
      <table class="table cards" aria-label={t("how")}>
        <thead>
          <tr>
            <th scope="col">{t("item")}</th>
            <th scope="col" class="numeric">
              {t("points")}
            </th>
            <th scope="col" class="numeric">
              {t("lost")}
            </th>
            <th scope="col">{t("how")}</th>
            <th scope="col" class="wide">
              {t("costing")}
            </th>
          </tr>
        </thead>
        <tbody>
          {one.items.map((item) => (
            <tr key={item.key}>
              <th scope="row">{item.name}</th>
              <td class="numeric" data-title={t("points")}>
                {number(item.points, 2)} <span class="quiet">/ {number(item.weight)}</span>
              </td>
              <td data-title={t("lost")} class={`numeric ${(item.lost ?? 0) > 0 ? "bad" : "quiet"}`}>{(item.lost ?? 0) > 0 ? `−${number(item.lost, 2)}` : "0"}</td>
              <td class="whole" data-title={t("how")}>
                <How item={item} month={month} department={department} names={names} values={statistics.data?.rows[0]?.measures} />
              </td>
              <td class="wide">
                <Cases costing={item.costing ?? []} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {one.adjustments.length > 0 && (
        <p>
          {t("corrections")}: {one.adjustments.map((adjustment) => `${adjustment.points} (${adjustment.reason}, ${adjustment.author})`).join("; ")}
        </p>
      )}
      <p class="quiet">{t("formula", one.formula.name, one.formula.version, one.formula.source)}</p>
      {row && <Parts row={row} />}
    </>
  );
}
