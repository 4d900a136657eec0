// The map as a list: the same filter, the same things.
import type { JSX } from "preact";
import type { Paged } from "../../lib/api.ts";
import { coded, severityName, whoName } from "../../lib/codes.ts";
import { departmentName, kindName, subsystemName } from "../../lib/county.ts";
import { shortTime } from "../../lib/format.ts";
import { setParameters, setPath } from "../../lib/router.ts";
import type { Alarm, Box, Case, Device } from "../../lib/types.ts";
import { Ago } from "../../part/ago.tsx";
import { Download } from "../../part/download.tsx";
import { PagedTable, type Column } from "../../part/table.tsx";
import { LISTS, listParameters, type ListKind, type MapQuery } from "./query.ts";
import { Symbol } from "./symbol.tsx";
import { boxText, frameOf, keyOf, SOURCES, type Thing } from "./things.ts";
import { t } from "./words.ts";

const deviceColumns = (): Column<Device>[] => [
  {
    key: "name",
    title: t("name"),
    cell: (device) => (
      <>
        <Symbol name={device.state === "online" ? "online" : "offline"} size={12} /> {device.name_zh || device.code}
      </>
    ),
  },
  { key: "code", title: t("code"), cell: (device) => device.code, wide: true },
  { key: "kind", title: t("kind"), cell: (device) => `${subsystemName(device.subsystem)} · ${kindName(device.subsystem, device.kind)}` },
  { key: "state", title: t("state"), cell: (device) => t(device.state) },
  { key: "alarms", title: t("alarms"), numeric: true, cell: (device) => (device.alarms > 0 ? <span class="bad">{device.alarms}</span> : "0") },
  { key: "department", title: t("department"), cell: (device) => departmentName(device.department), wide: true },
  { key: "seen", title: t("lastSeen"), cell: (device) => <Ago at={device.last_seen_at} /> },
];
const alarmColumns = (): Column<Alarm>[] => [
  {
    key: "severity",
    title: t("severity"),
    cell: (alarm) => (
      <>
        <Symbol name={alarm.severity} size={16} /> {severityName(alarm.severity)}
      </>
    ),
  },
  { key: "what", title: t("what"), cell: (alarm) => alarm.text_zh },
  { key: "subsystem", title: t("subsystem"), cell: (alarm) => subsystemName(alarm.subsystem), wide: true },
  { key: "since", title: t("since"), cell: (alarm) => <>{shortTime(alarm.opened_at)} (<Ago at={alarm.opened_at} />)</> },
  { key: "acknowledged", title: t("acknowledgement"), cell: (alarm) => (alarm.acknowledged_at === null ? t("notAcknowledged") : t("acknowledged", whoName(alarm.acknowledged_by))) },
];
const caseColumns = (): Column<Case>[] => [
  { key: "case", title: t("case"), cell: (one) => one.case },
  { key: "title", title: t("title"), cell: (one) => one.title },
  { key: "stage", title: t("stage"), cell: (one) => coded(one.state, one.state_zh) },
  { key: "department", title: t("department"), cell: (one) => one.department_zh ?? "–", wide: true },
  { key: "deadline", title: t("deadline"), cell: (one) => (one.overdue ? <strong class="bad">{t("overdue")} {shortTime(one.deadline_at)}</strong> : shortTime(one.deadline_at ?? one.stage_deadline_at)) },
];

const COLUMNS: Record<ListKind, () => Column<never>[]> = { device: deviceColumns, alarm: alarmColumns, case: caseColumns };
const TABS = { device: "devices", alarm: "alarms", case: "cases" } as const;

export function List({ query, list, canView, box }: { query: MapQuery; list: Paged<Thing>; canView: boolean; box: Box | null }): JSX.Element {
  const kind = query.list;
  const frame = frameOf(query, box);
  return (
    <section class="map-list" aria-label={t("list")}>
      <div class="row map-list-head">
        {LISTS.map((one) => (
          <button key={one} type="button" aria-pressed={kind === one} onClick={() => setParameters({ list: one })}>
            {t(TABS[one])}
          </button>
        ))}
        {canView && query.area === null && (
          <label>
            <input type="checkbox" checked={query.inView} onChange={(event) => setParameters({ inview: event.currentTarget.checked ? null : "false" })} /> {t("inView")}
          </label>
        )}
        {query.placed && !query.inView && (
          <label>
            <input type="checkbox" checked onChange={() => setParameters({ placed: null })} /> {t("placed")}
          </label>
        )}
        {/* Files of devices are of now alone. */}
        {kind !== "" && !(kind === "device" && query.moment !== null) && <Download path={SOURCES[kind].path} parameters={listParameters(query, kind, frame === null ? null : boxText(frame))} />}
        <button type="button" class="plain" onClick={() => setParameters({ list: kind === "" ? null : "none" })}>
          {t(kind === "" ? "showList" : "hideList")}
        </button>
      </div>
      {kind !== "" && (
        <div class="map-list-rows" tabIndex={0} role="region" aria-label={t(TABS[kind])}>
          <PagedTable<Thing>
            label={t(TABS[kind])}
            list={list}
            columns={COLUMNS[kind]() as unknown as Column<Thing>[]}
            rowKey={keyOf}
            current={query.open?.kind === kind ? query.open.id : null}
            onOpen={(thing) => setPath([kind, keyOf(thing)])}
          />
        </div>
      )}
    </section>
  );
}
