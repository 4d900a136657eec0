// What the map shows: layers, filter, shade, legend.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useAsk } from "../../lib/api.ts";
import { coded, severityName } from "../../lib/codes.ts";
import { departments, subsystemName, subsystems } from "../../lib/county.ts";
import { number } from "../../lib/format.ts";
import { link, route, setParameters } from "../../lib/router.ts";
import { Filters } from "../../part/filters.tsx";
import { BaseSwitch, type Basemap } from "./base.tsx";
import { GAP_MS } from "./movers.ts";
import { SHADES, STATES, type MapQuery } from "./query.ts";
import { isShade, useShadeValues } from "./shade.ts";
import { Symbol } from "./symbol.tsx";
import type { SymbolName } from "./symbols.ts";
import { t } from "./words.ts";

const UNPLACED_EVERY_S = 60;
/** What the hub looks for in the whole county is asked for when the map is there. */
const UNPLACED_AFTER_MS = 4000;

/** What GET /api/v1/map/counts answers: the county's points in memory, as far as who asks sees them. */
interface Counts {
  subsystems: { subsystem: string; online: number; offline: number; alarms: number }[];
  cases: number;
}

const LAYERS = [
  { key: "device", words: "devices", symbol: "online" },
  { key: "mover", words: "movers", symbol: null },
  { key: "alarm", words: "alarms", symbol: "major" },
  { key: "case", words: "cases", symbol: "case" },
  { key: "grid", words: "grid", symbol: null },
  { key: "zone", words: "zones", symbol: null },
] as const;

function Switches({ query }: { query: MapQuery }): JSX.Element {
  const set = (key: string, on: boolean) => setParameters({ off: [...query.off.filter((word) => word !== key), ...(on ? [] : [key])].join(",") });
  return (
    <fieldset class="layers">
      <legend>{t("layers")}</legend>
      {LAYERS.map((layer) => (
        <label key={layer.key}>
          <input type="checkbox" checked={!query.off.includes(layer.key)} onChange={(event) => set(layer.key, event.currentTarget.checked)} />
          {layer.symbol && <Symbol name={layer.symbol} />}
          {layer.key === "mover" && <span class="mover-symbol" aria-hidden="true" />}
          {t(layer.words)}
        </label>
      ))}
    </fieldset>
  );
}

function Subsystems({ query }: { query: MapQuery }): JSX.Element {
  const { data } = useAsk<Counts>("map/counts", { at: query.moment ?? "" }, query.moment === null ? 10 : 0);
  const all = data?.subsystems ?? [];
  const sum = (key: "online" | "offline" | "alarms") => all.reduce((total, one) => total + one[key], 0);
  // The list of the whole county that a number counts: of what the map can show, whatever else is filtered.
  const count = (subsystem: string, name: string, which: string, value: number, what: Record<string, string>) => {
    if (data === undefined) return "–";
    if (value === 0) return "0";
    const { at, off, shade } = route.value.parameters;
    return (
      <a href={link("map", { at, off, shade, subsystem, ...what, inview: false, placed: true })} data-number={value} aria-label={t("countOf", name, which, number(value))}>
        {number(value)}
      </a>
    );
  };
  const row = (key: string, name: string, online: number, offline: number, alarms: number) => (
    <tr key={key} aria-current={query.subsystem === key ? "true" : undefined}>
      <th scope="row">
        <button type="button" class="plain" aria-pressed={query.subsystem === key} onClick={() => setParameters({ subsystem: key })}>
          {name}
        </button>
      </th>
      <td class="numeric">{count(key, name, t("online"), online, { list: "device", state: "online" })}</td>
      <td class={`numeric ${offline > 0 ? "warn" : "quiet"}`}>{count(key, name, t("offline"), offline, { list: "device", state: "away" })}</td>
      <td class={`numeric ${alarms > 0 ? "bad" : "quiet"}`}>{count(key, name, t("alarms"), alarms, { list: "alarm" })}</td>
    </tr>
  );
  return (
    <table class="subsystems">
      <thead>
        <tr>
          <th scope="col">{t("subsystem")}</th>
          <th scope="col" class="numeric">
            {t("online")}
          </th>
          <th scope="col" class="numeric">
            {t("offline")}
          </th>
          <th scope="col" class="numeric">
            {t("alarms")}
          </th>
        </tr>
      </thead>
      <tbody>
        {row("", t("all"), sum("online"), sum("offline"), sum("alarms"))}
        {subsystems.value.map((subsystem) => {
          const one = all.find((counts) => counts.subsystem === subsystem.key);
          return row(subsystem.key, subsystemName(subsystem.key), one?.online ?? 0, one?.offline ?? 0, one?.alarms ?? 0);
        })}
      </tbody>
    </table>
  );
}

function Legend(): JSX.Element {
  const rows: [SymbolName, string][] = [
    ["online", t("online")],
    ["offline", t("offline")],
    ["info", `${t("alarms")} ${severityName("info")}`],
    ["minor", `${t("alarms")} ${severityName("minor")}`],
    ["major", `${t("alarms")} ${severityName("major")}`],
    ["critical", `${t("alarms")} ${severityName("critical")}`],
    ["case", t("cases")],
  ];
  return (
    <details class="legend">
      <summary>{t("legend")}</summary>
      <ul>
        {rows.map(([name, words]) => (
          <li key={name}>
            <Symbol name={name} size={18} /> {words}
          </li>
        ))}
        <li>
          <span class="mover-symbol" aria-hidden="true" /> {t("movers")}
        </li>
      </ul>
      <p class="quiet">{t("delay", GAP_MS / 60_000)}</p>
    </details>
  );
}

/** What the map cannot show is one click away from it. */
function Unplaced(): JSX.Element | null {
  const [due, setDue] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setDue(true), UNPLACED_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  const { data } = useAsk<{ total: number }>(due ? "unplaced/counts" : null, {}, UNPLACED_EVERY_S);
  if (data === undefined || data.total === 0) return null;
  return (
    <p class="map-unplaced">
      <a href={link("unplaced")} data-testid="unplaced">
        △ {t("unplaced")} {number(data.total)}
      </a>
    </p>
  );
}

const SHADE_WORDS = { "": "shadeNone", open: "shadeOpen", overdue: "shadeOverdue", month: "shadeMonth", alarms: "shadeAlarms", score: "shadeScore", rounds: "shadeRounds" } as const;

function ShadeLegend({ query }: { query: MapQuery }): JSX.Element | null {
  const { values, of } = useShadeValues(query);
  if (!isShade(query.shade) || (values.size === 0 && of === undefined)) return null;
  const all = [...values.values()];
  const words = of !== undefined ? t("shadeCovered", number(values.size), number(of)) : query.shade === "score" ? t("shadeScored", number(100 - Math.max(...all), 1), number(100 - Math.min(...all), 1)) : t("shadeLegend", number(Math.max(...all)));
  return (
    <p class="shade-legend">
      <span aria-hidden="true" class="shade-bar" /> {words}
    </p>
  );
}

export function Layers({ query, bases }: { query: MapQuery; bases: Basemap[] }): JSX.Element {
  const words = useAsk<{ statistics: { statistic: string; name_zh: string }[] }>(query.statistic === "" ? null : "cases/words");
  return (
    <>
      <Subsystems query={query} />
      {query.moment === null && <Unplaced />}
      <Filters
        filters={[
          { key: "state", title: t("state"), kind: "choice", choices: STATES.map((state) => ({ value: state, title: t(state) })) },
          { key: "department", title: t("department"), kind: "choice", choices: departments.value.map(({ code, name_zh }) => ({ value: code, title: name_zh })) },
          // Chosen elsewhere, where vendors are listed; here it is seen and taken away.
          ...(query.vendor === "" ? [] : [{ key: "vendor", title: t("vendor"), kind: "choice" as const, choices: [{ value: query.vendor, title: query.vendor }] }]),
          ...(query.statistic === "" ? [] : [{ key: "statistic", title: t("statistic"), kind: "choice" as const, none: t("openCases"), choices: [{ value: query.statistic, title: `${query.month} ${coded(query.statistic, words.data?.statistics.find((one) => one.statistic === query.statistic)?.name_zh)}` }] }]),
          { key: "text", title: t("text"), kind: "text" },
        ]}
      />
      <Filters
        clear={false}
        filters={[
          { key: "shade", title: t("shade"), kind: "choice", none: t("shadeNone"), choices: SHADES.filter(isShade).map((shade) => ({ value: shade, title: t(SHADE_WORDS[shade]) })) },
        ]}
      />
      <ShadeLegend query={query} />
      <Switches query={query} />
      <BaseSwitch query={query} all={bases} />
      <Legend />
    </>
  );
}
