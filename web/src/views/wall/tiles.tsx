// The forms of tiles: numbers, bars, subsystems, alarms, a trend, ranks. Each tile says how old it is, and is grey where it is old.
import type { ComponentChildren, JSX } from "preact";
import { subsystemName } from "../../lib/county.ts";
import { ago, clock, date, now, number, total } from "../../lib/format.ts";
import { link } from "../../lib/router.ts";
import { language } from "../../lib/words.ts";
import { problemText } from "../../part/states.tsx";
import { TILES, type Bar, type Limits, type Tile, type TileData, type TileKey, type Value } from "./catalogue.ts";
import { isOld, useSource, type Best, type Day, type OpenAlarm } from "./sources.ts";
import { t } from "./words.ts";

export const named = (title: [zh: string, en: string]): string => title[language.value === "en" ? 1 : 0];

function level(value: number | null, limits: Limits | undefined): "" | "warn" | "bad" {
  if (value === null || limits === undefined) return "";
  const beyond = (limit: number) => (limits.kind === "above" ? value >= limit : value < limit);
  return beyond(limits.bad) ? "bad" : beyond(limits.warn) ? "warn" : "";
}

/** `count`: what the list that it opens counts; a share or a score opens what it is of. */
const Opens = ({ href, count, children, label }: { href?: string | undefined; count?: number | undefined; children: ComponentChildren; label: string }): JSX.Element =>
  href === undefined ? (
    <>{children}</>
  ) : (
    <a href={href} aria-label={label} data-number={count}>
      {children}
    </a>
  );

function Values({ values }: { values: Value[] }): JSX.Element {
  return (
    <dl class="wall-values">
      {values.map((one) => {
        const found = level(one.value, one.limits);
        const text = number(one.value, one.unit === "%" ? 1 : undefined);
        return (
          <div key={one.title[0]} class={found}>
            <dt>{named(one.title)}</dt>
            <dd>
              <Opens href={one.value === 0 ? undefined : one.href} count={one.unit === "%" ? undefined : (one.value ?? undefined)} label={`${named(one.title)} ${text}${one.unit === undefined ? "" : ` ${one.unit}`}`}>
                <span aria-hidden="true">{found === "bad" ? "▲" : found === "warn" ? "△" : ""}</span>
                {text}
                {one.unit !== undefined && <small> {one.unit}</small>}
              </Opens>
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

function Bars({ bars, label }: { bars: Bar[]; label: string }): JSX.Element {
  if (bars.length === 0) return <p class="quiet">{t("nothing")}</p>;
  const most = Math.max(1, ...bars.map((bar) => bar.value));
  return (
    <ul class="wall-bars" aria-label={label}>
      {bars.map((bar) => (
        <li key={bar.title}>
          <span class="wall-bar-title">{bar.title}</span>
          <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
            <rect class="wall-bar-rest" width={(bar.value / most) * 100} height="8" />
            <rect class="wall-bar-bad" width={((bar.bad ?? 0) / most) * 100} height="8" />
          </svg>
          <span class="wall-bar-value">
            <Opens href={bar.value === 0 ? undefined : bar.href} count={bar.value} label={`${bar.title} ${number(bar.value)}`}>
              {number(bar.value)}
            </Opens>
            {bar.bad !== undefined && bar.bad > 0 && (
              <em class="bad">
                {" "}
                <Opens href={bar.badHref} count={bar.bad} label={`${bar.title} ${t("bad")} ${number(bar.bad)}`}>
                  ▲{number(bar.bad)}
                </Opens>
              </em>
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Subsystems({ data }: { data: TileData["subsystems"] }): JSX.Element {
  const rows = [...data.subsystems].sort((a, b) => b.alarms - a.alarms || b.offline - a.offline);
  return (
    <table class="wall-table" style={{ maxHeight: `${3 * (rows.length + 1)}rem` }}>
      <thead>
        <tr>
          <th scope="col">{t("subsystem")}</th>
          <th scope="col" class="numeric">
            {t("online")}
          </th>
          <th scope="col" class="numeric">
            {t("alarms")}
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((one) => (
          <tr key={one.subsystem}>
            <th scope="row">{subsystemName(one.subsystem)}</th>
            <td class={`numeric ${one.offline > 0 ? "warn" : ""}`}>
              <Opens href={one.online === 0 ? undefined : link("map", { subsystem: one.subsystem, state: "online", inview: "false", placed: "true" })} count={one.online} label={`${subsystemName(one.subsystem)} ${t("online")} ${number(one.online)}`}>
                {number(one.online)}
              </Opens>
              <span class="quiet"> / {number(one.online + one.offline)}</span>
            </td>
            <td class={`numeric ${one.alarms > 0 ? "bad" : "quiet"}`}>
              {one.alarms > 0 ? (
                <a href={link("map", { subsystem: one.subsystem, list: "alarm", inview: "false", placed: "true" })} data-number={one.alarms} aria-label={`${subsystemName(one.subsystem)} ${t("alarms")} ${number(one.alarms)}`}>
                  <span aria-hidden="true">▲ </span>
                  {number(one.alarms)}
                </a>
              ) : (
                "0"
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const SEVERITY: Record<string, string> = { critical: "■", major: "▲", minor: "●", info: "○" };

function Alarms({ alarms }: { alarms: OpenAlarm[] }): JSX.Element {
  if (alarms.length === 0) return <p class="good">{t("nothing")}</p>;
  return (
    <ul class="wall-alarms">
      {alarms.slice(0, 9).map((alarm) => (
        <li key={alarm.id} class={alarm.acknowledged_at === null ? `wall-${alarm.severity}` : "quiet"}>
          <span aria-hidden="true">{SEVERITY[alarm.severity] ?? "○"}</span>
          <a href={link(`map/alarm/${alarm.id}`)}>{alarm.text_zh}</a>
          <time>{ago(alarm.opened_at)}</time>
        </li>
      ))}
    </ul>
  );
}

const WIDTH = 640;
const HEIGHT = 180;
const DAY_MS = 86_400_000;

/** Reported and ended by day. The day that is not over is hollow: its count still grows. */
function Trend({ days }: { days: Day[] }): JSX.Element {
  const most = Math.max(4, ...days.map((day) => Math.max(day.reported, day.ended)));
  const step = (WIDTH - 50) / Math.max(1, days.length);
  const height = (value: number) => (value / most) * (HEIGHT - 44);
  const column = (day: Day, place: number, kind: "reported" | "ended", offset: number) => {
    if (day[kind] === 0) return null;
    const rect = <rect class={`wall-${kind} ${place === days.length - 1 ? "wall-running" : ""}`} x={44 + place * step + offset} y={HEIGHT - 22 - height(day[kind])} width={step * 0.36} height={height(day[kind])} />;
    return (
      <a href={link("desk", { queue: "all", moment: kind, from: day.day, to: date(day.at + DAY_MS) })} data-number={day[kind]} aria-label={`${day.day} ${t(kind)} ${number(day[kind])}`}>
        <title>{`${day.day} ${t(kind)} ${number(day[kind])}`}</title>
        {rect}
      </a>
    );
  };
  return (
    <figure class="wall-trend">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="group" aria-label={days.map((day) => `${day.day} ${t("reported")} ${day.reported} ${t("ended")} ${day.ended}`).join("; ")}>
        {[0, 0.5, 1].map((part) => (
          <g key={part}>
            <line class="grid" x1={44} x2={WIDTH} y1={HEIGHT - 22 - height(most * part)} y2={HEIGHT - 22 - height(most * part)} />
            <text x={40} y={HEIGHT - 18 - height(most * part)} text-anchor="end">
              {number(Math.round(most * part))}
            </text>
          </g>
        ))}
        {days.map((day, place) => (
          <g key={day.day}>
            {column(day, place, "reported", step * 0.08)}
            {column(day, place, "ended", step * 0.5)}
            {place % 2 === (days.length - 1) % 2 && (
              <text x={44 + (place + 0.5) * step} y={HEIGHT - 6} text-anchor="middle">
                {day.day.slice(5)}
              </text>
            )}
          </g>
        ))}
      </svg>
      <figcaption>
        <span class="wall-key wall-key-reported">{t("reported")}</span> <span class="wall-key wall-key-ended">{t("ended")}</span> <span class="quiet">{t("days")}</span>
      </figcaption>
    </figure>
  );
}

function Ranks({ data, end }: { data: Best; end: "first" | "last" }): JSX.Element {
  const rows = end === "first" ? data.rows.slice(0, 5) : data.rows.slice(-5).reverse();
  return (
    <>
      <ol class="wall-ranks">
        {rows.map((row) => (
          <li key={row.department}>
            <span class="quiet">{row.rank}</span>
            <a href={link(`scores/department/${row.department}`, { month: data.month })}>{row.name}</a>
            <a class={end === "first" ? "good" : "warn"} href={link(`scores/department/${row.department}`, { month: data.month })} aria-label={`${row.name} ${total(row.total)}`}>
              <strong>{total(row.total)}</strong>
            </a>
          </li>
        ))}
      </ol>
      <p class="quiet">{t("month", data.month)}</p>
    </>
  );
}

function content(one: Tile, data: unknown): JSX.Element {
  switch (one.form) {
    case "values":
      return <Values values={one.values(data as never)} />;
    case "bars":
      return <Bars bars={one.bars(data as never)} label={named(one.title)} />;
    case "subsystems":
      return <Subsystems data={data as TileData["subsystems"]} />;
    case "alarms":
      return <Alarms alarms={data as OpenAlarm[]} />;
    case "trend":
      return <Trend days={data as Day[]} />;
    case "ranks":
      return data === null ? <p class="quiet">{t("nothing")}</p> : <Ranks data={data as Best} end={one.end} />;
  }
}

export function WallTile({ tile }: { tile: TileKey }): JSX.Element {
  const one: Tile = TILES[tile];
  const held = useSource<unknown>(one.source);
  const old = isOld(held, one.source, now.value);
  return (
    <section class={`wall-tile tile-${tile} ${old ? "old" : ""}`} aria-label={named(one.title)}>
      <h2>
        <span>
          {named(one.title)}
          {one.unit && <small>{t("unit", named(one.unit))}</small>}
        </span>
        <span class={old ? "wall-old" : "wall-age"}>
          {held.data === undefined ? (held.problem ? t("failed", problemText(held.problem)) : t("loading")) : old ? t("old", clock(held.at), ago(held.at)) : t("asOf", clock(held.at))}
        </span>
      </h2>
      <div class="wall-content">{held.data !== undefined && content(one, held.data)}</div>
    </section>
  );
}
