// A device: its latest values with units and limits, their last 24 hours, history, alarms, cases, work, track.
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { useAsk } from "../../lib/api.ts";
import { coded, orderStatus } from "../../lib/codes.ts";
import { departmentName, kindName, subsystemName } from "../../lib/county.ts";
import { ago, coordinates, dateTimeSeconds, hubNow, number, quantity, shortTime, unitName } from "../../lib/format.ts";
import { link, route, setParameters } from "../../lib/router.ts";
import { isLeft, useStream, type DeviceState as LiveState } from "../../lib/stream.ts";
import type { Device, Reading, Series, Severity } from "../../lib/types.ts";
import { said } from "../../lib/words.ts";
import { Chart, Sparkline } from "../../part/chart.tsx";
import { Facts } from "../../part/facts.tsx";
import { Empty, Failed, Loading } from "../../part/states.tsx";
import { Place, Waiting, type PanelProperties } from "./panel.tsx";
import { Symbol } from "./symbol.tsx";
import { useTrackOf } from "./track.ts";
import { t } from "./words.ts";

interface DeviceDetail extends Omit<Device, "alarms"> {
  subsystem_zh: string;
  kind_zh: string;
  mobile: boolean;
  component_code: string | null;
  department_zh: string | null;
  attributes: Record<string, unknown> | null;
  readings: Reading[];
  alarms: { id: number; name_zh: string; severity: Severity; opened_at: string }[];
  cases: { case: string; title: string; state: string; state_zh: string; of_device: boolean; distance_m: number }[];
  work: { id: number; code: string; title: string | null; status: string; planned_start: string | null; finished_at: string | null }[];
  vendor_zh: string | null;
  terminals: { id: number; protocol: string; identity: string }[];
  vehicles: { id: number; plate: string | null; name: string | null }[];
}

const DAY_MS = 86_400_000;
const RANGES = { day: 1, week: 7, month: 30 } as const;

const normalRange = ({ normal_low, normal_high }: Reading): string =>
  normal_low === null && normal_high === null ? "–" : normal_low === null ? `≤ ${number(normal_high)}` : normal_high === null ? `≥ ${number(normal_low)}` : `${number(normal_low)} – ${number(normal_high)}`;

const isOutside = ({ value, normal_low, normal_high }: Reading): boolean =>
  value !== null && ((normal_low !== null && value < normal_low) || (normal_high !== null && value > normal_high));

/** Units that are none: yes or no, a number of a list. */
const unitOf = (reading: Reading): string => (["1", "0/1", "enum"].includes(reading.unit) ? "" : unitName(reading.unit));

const written = (reading: Reading): string => (reading.unit === "0/1" ? (reading.value === null ? "–" : t(reading.value === 0 ? "no" : "yes")) : quantity(reading.value, unitOf(reading)));

/** The readings with what the stream has told since they were read: the newer one of each. */
function useLiveReadings(id: number, past: boolean, detail: DeviceDetail | undefined, reload: () => void): { readings: Reading[]; online: boolean | null; seen: string | number | null } {
  const [told, setTold] = useState<LiveState | null>(null);
  useLayoutEffect(() => setTold(null), [id, past]);
  useStream(
    {
      state: (things) => {
        const mine = things.find((thing) => thing.id === id);
        if (mine !== undefined && !isLeft(mine)) setTold((before) => ({ ...before, ...mine, values: { ...before?.values, ...mine.values }, times: { ...before?.times, ...mine.times } }));
      },
    },
    reload,
    !past,
  );
  const readings = (detail?.readings ?? []).map((reading): Reading => {
    const value = told?.values?.[reading.key];
    const at = told?.times?.[reading.key] ?? told?.observed_at_ms ?? null;
    if (value === undefined || at === null || (reading.at !== null && at <= Date.parse(reading.at))) return reading;
    return { ...reading, value, at: new Date(at).toISOString(), quality: qualityOf(reading, value, told?.out_of_range?.includes(reading.key) ?? false) };
  });
  return { readings, online: told?.online ?? null, seen: told?.last_seen_at_ms ?? detail?.last_seen_at ?? null };
}

/** As the API has it: a marked reading within its metric's range is at its instrument's upper limit. */
function qualityOf(reading: Reading, value: number | null, marked: boolean): string {
  if (!marked) return "good";
  return value !== null && value >= (reading.minimum ?? -Infinity) && value <= (reading.maximum ?? Infinity) ? "over_range" : "out_of_range";
}

/** The day up to a moment; of now the API's own. */
const dayUntil = (moment: string | null): Record<string, string> => (moment === null ? {} : { from: new Date(Date.parse(moment) - DAY_MS).toISOString(), to: moment });

function Readings({ id, readings, moment }: { id: string; readings: Reading[]; moment: string | null }): JSX.Element {
  const day = useAsk<{ series: Series[] }>(`devices/${id}/series`, { width: 60, ...dayUntil(moment) }, moment === null ? 120 : 0);
  const open = route.value.parameters["metric"];
  if (readings.length === 0) return <Empty>{t("nothing")}</Empty>;
  return (
    <table class="table readings">
      <thead>
        <tr>
          <th scope="col">{t("metric")}</th>
          <th scope="col" class="numeric">
            {t("value")}
          </th>
          <th scope="col" class="numeric">
            {t("normal")}
          </th>
          <th scope="col">{t("trend")}</th>
        </tr>
      </thead>
      <tbody>
        {readings.map((reading) => {
          const series = day.data?.series.find((one) => one.metric === reading.key);
          const bad = isOutside(reading);
          return (
            <tr key={reading.key} aria-current={open === reading.key ? "true" : undefined}>
              <th scope="row">
                <button type="button" class="plain" aria-pressed={open === reading.key} onClick={() => setParameters({ metric: open === reading.key ? null : reading.key }, true)}>
                  {reading.name_zh}
                </button>
              </th>
              <td class={`numeric ${bad ? "bad" : ""}`} title={dateTimeSeconds(reading.at)}>
                {bad && "▲ "}
                {reading.quality === "over_range" && "≥ "}
                {written(reading)}
                {reading.quality !== "good" && <span class="warn"> {t("outOfRange")}</span>}
              </td>
              <td class="numeric quiet">{normalRange(reading)}</td>
              <td>{series ? <Sparkline points={series.points} label={`${reading.name_zh} ${t("trend")}`} width={72} height={20} /> : null}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function History({ id, reading, moment }: { id: string; reading: Reading; moment: string | null }): JSX.Element {
  const range = Object.keys(RANGES).find((key) => key === route.value.parameters["range"]) as keyof typeof RANGES | undefined;
  const days = RANGES[range ?? "day"];
  // To the minute, so that the question stays the same while it is being answered.
  const to = moment === null ? Math.ceil(hubNow() / 60_000) * 60_000 : Date.parse(moment);
  const from = to - days * DAY_MS;
  const asked = useAsk<{ series: Series[] }>(`devices/${id}/series`, { metrics: reading.key, width: 400, ...dayUntil(moment), ...(days > 1 && { from: new Date(Math.floor(from / 3_600_000) * 3_600_000).toISOString() }) });
  const series = asked.data?.series[0];
  return (
    <div>
      <div class="row" role="group" aria-label={t("history")}>
        {(Object.keys(RANGES) as (keyof typeof RANGES)[]).map((key) => (
          <button key={key} type="button" aria-pressed={(range ?? "day") === key} onClick={() => setParameters({ range: key === "day" ? null : key }, true)}>
            {t(key)}
          </button>
        ))}
      </div>
      {asked.problem ? (
        <Failed problem={asked.problem} retry={asked.reload} />
      ) : series ? (
        <Chart
          points={series.points}
          from={from}
          to={to}
          unit={unitOf(reading)}
          label={`${reading.name_zh} ${unitOf(reading)} ${t(range ?? "day")}`}
          limits={reading.limits.map((limit) => ({ value: limit.threshold, name: limit.name_zh }))}
        />
      ) : asked.loading ? (
        <Loading />
      ) : (
        <Empty>{t("nothing")}</Empty>
      )}
      {reading.limits.length > 0 && (
        <ul class="plain-list">
          {reading.limits.map((limit) => (
            <li key={limit.rule}>
              <Symbol name={limit.severity} /> {limit.name_zh}: {t(limit.comparison, `${number(limit.threshold)} ${unitOf(reading)}`)} <span class="quiet">{said(limit.source_zh, limit.source)}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function TrackPart({ query }: { query: PanelProperties["query"] }): JSX.Element {
  const asked = useTrackOf(query);
  return (
    <section>
      <h3>{t("track")}</h3>
      <button type="button" aria-pressed={query.track} onClick={() => setParameters({ track: query.track ? null : "true" }, true)}>
        {t(query.track ? "hideTrack" : "showTrack")}
      </button>
      {query.track && (asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : asked.data && <p role="status">{t("trackFacts", number(asked.data.fixes), asked.data.segments.length, asked.data.stops.length)}</p>)}
    </section>
  );
}

/** An attribute's value as its vendor has it: in an inventory all are texts. */
const attribute = (value: unknown): string => {
  const plain = typeof value === "string" ? value : JSON.stringify(value);
  return plain === "true" || plain === "false" ? t(plain === "true" ? "yes" : "no") : plain;
};

export function DevicePanel({ query, id, onPlace, onGo }: PanelProperties): JSX.Element {
  const { moment } = query;
  const asked = useAsk<DeviceDetail>(`devices/${encodeURIComponent(id)}`, { at: moment ?? "" }, moment === null ? 60 : 0);
  const device = asked.data;
  const { readings, online, seen } = useLiveReadings(Number(id), moment !== null, device, asked.reload);
  useEffect(() => onPlace(device?.lon ?? null, device?.lat ?? null), [device?.lon, device?.lat]);
  if (device === undefined) return <Waiting asked={asked} />;
  const state = online === null ? device.state : online ? "online" : "offline";
  const open = readings.find((reading) => reading.key === route.value.parameters["metric"]);
  return (
    <>
      <h2>{device.name_zh}</h2>
      <p class="row">
        <span>
          <Symbol name={state === "online" ? "online" : "offline"} /> {t(state)}
        </span>
        <span class="quiet" title={dateTimeSeconds(seen)}>
          {t("lastSeen")} {ago(seen)}
        </span>
        <Place lon={device.lon} lat={device.lat} onGo={onGo} />
      </p>
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      {device.alarms.length > 0 && (
        <section>
          <h3>{t("openAlarms")}</h3>
          <ul class="plain-list">
            {device.alarms.map((alarm) => (
              <li key={alarm.id}>
                <Symbol name={alarm.severity} /> <a href={link(`map/alarm/${alarm.id}`, route.value.parameters)}>{alarm.name_zh}</a> <span class="quiet">{ago(alarm.opened_at)}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section>
        <h3>{t("readings")}</h3>
        <Readings id={id} readings={readings} moment={moment} />
        {open && <History key={open.key} id={id} reading={open} moment={moment} />}
      </section>
      {device.mobile && <TrackPart query={query} />}
      <section>
        <h3>{t("nearCases")}</h3>
        {device.cases.length === 0 ? (
          <p class="quiet">{t("nothing")}</p>
        ) : (
          <ul class="plain-list">
            {device.cases.map((one) => (
              <li key={one.case}>
                <a href={link(`map/case/${one.case}`, route.value.parameters)}>{one.title}</a> <span class="quiet">{coded(one.state, one.state_zh)} {one.of_device ? t("ofDevice") : t("near", number(one.distance_m, 0))}</span>
              </li>
            ))}
          </ul>
        )}
      </section>
      {device.work.length > 0 && (
        <section>
          <h3>{t("work")}</h3>
          <ul class="plain-list">
            {device.work.map((order) => (
              <li key={order.id}>
                {order.title ?? order.code} <span class="quiet">{orderStatus(order.status)} {shortTime(order.finished_at ?? order.planned_start)}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section>
        <Facts
          rows={[
            [t("code"), device.code],
            [t("subsystem"), `${subsystemName(device.subsystem)} · ${kindName(device.subsystem, device.kind)}`],
            [t("department"), device.department_zh ?? departmentName(device.department)],
            [t("vendor"), device.vendor_zh ?? device.vendor],
            ...device.terminals.map((one): [string, JSX.Element] => [t("terminal"), <a data-testid="terminal" href={link(`terminals/${one.id}`)}>{one.identity}</a>]),
            [t("component"), device.component_code ?? "–"],
            [t("gridCell"), device.grid_cell ?? "–"],
            [t("place"), device.lon === null || device.lat === null ? t("noPlace") : coordinates(device.lon, device.lat)],
            ...(device.vehicles.length > 0 ? [[t("vehicles"), device.vehicles.map((vehicle) => vehicle.plate ?? vehicle.name).join(", ")] as [string, string]] : []),
            ...Object.entries(device.attributes ?? {}).map(([name, value]): [string, string] => [name === "simulated" ? t("simulated") : name, attribute(value)]),
          ]}
        />
      </section>
    </>
  );
}
