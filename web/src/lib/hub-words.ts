// What the hub and its database say of themselves in English sentences (warnings of the status, limits, why an alarm ended, the reason of a case that a
// subsystem reported), in the page's language. What is not known here stays as it was said.
import { severityName } from "./codes.ts";
import { language } from "./words.ts";

const SAID_ZH: [RegExp, string][] = [
  // Warnings of the status (schema/rules/server.sql, calendar.sql, terminal_key.sql), and why the hub is not ready (hub/serve/serve.c, lane.c).
  [/(fsync|full_page_writes): it is off: what is acknowledged may be lost when the machine fails; switch it on/g, "$1 已关闭：机器故障时，已确认收下的数据可能丢失，请打开"],
  [
    /max_locks_per_transaction: it is (\d+), which makes (\d+) locks: reading (\d+) days of data may need (\d+), and then nothing can be stored; set it to (\d+) or more, and start the server anew/g,
    "max_locks_per_transaction 现为 $1，共 $2 个锁；读 $3 天的数据可能要 $4 个，不够时什么都存不进。请设为 $5 以上，并重启数据库",
  ],
  [
    /max_connections: it is (\d+), (\d+) of them for superusers: the hub holds (\d+), and commands and people need some more; set it to (\d+) or more, and start the server anew/g,
    "max_connections 现为 $1，其中 $2 个留给超级用户；系统占用 $3 个，命令和人员还要一些。请设为 $4 以上，并重启数据库",
  ],
  [
    /no notice of holidays is entered for ([\d, ]+), into which deadlines fall: they are counted by a plain week; `cityhub calendar import` enters it/g,
    "还没有录入 $1 年的节假日安排，而有时限落在其中：暂按一般的周计算。请在“文件导入”录入，或用 cityhub calendar import",
  ],
  [
    /(\d+) terminals have had their SM4 key for more than (\d+) days, the longest (.*): `cityhub terminal tell --command new_key` gives another/g,
    "$1 台终端的 SM4 密钥已用 $2 天以上，最久的是 $3。请更换：cityhub terminal tell --command new_key",
  ],
  [/^the hub is stopping$/, "系统正在停止"],
  [/^the database is away$/, "连接不上数据库"],
  [/^the registry is being loaded$/, "正在载入台账"],
  [/^nothing can be stored: /, "存不进数据："],
  [/^lane (\S+) is not connected to the broker$/, "通道 $1 没有连上消息服务器"],
  [/^lane (\S+) waits until its messages are stored, for (\d+) s now: (?:that takes long$)?/, "通道 $1 的消息等待入库，已 $2 秒。"],
  // Limits (schema/rules/alarm.sql).
  [/\babove ([-+.\de]+)/g, "高于 $1"],
  [/\bbelow ([-+.\de]+)/g, "低于 $1"],
  [/\bequals ([-+.\de]+)/g, "等于 $1"],
  [/, ends at ([-+.\de]+)/g, "，恢复值 $1"],
  [/, for (\d+) s\b/g, "，持续 $1 秒"],
  [/, (\d\d:\d\d) to (\d\d:\d\d)$/g, "，$1 至 $2"],
  // Why an alarm ended.
  [/^condition ended$/, "已恢复"],
  [/^rule changed$/, "规则已更改"],
  [/^rule disabled$/, "规则已停用"],
  [/^records arrive again$/, "已恢复上报"],
  [/^its devices tell of now again$/, "设备已恢复按时上报"],
  [/^device retired$/, "设备已停用"],
  [/^all its devices are retired$/, "设备已全部停用"],
  [/^vendor revoked$/, "厂商已停用"],
  [/^no difference any more$/, "已无差异"],
  [/^nothing waits too long any more$/, "已无超时等待的"],
  [/^all are fetched, or tried$/, "已全部取到或试过"],
  [/^resumed, or ended$/, "已恢复或已结束"],
  // The reason of a case (schema/rules/case_report.sql).
  [/^occurred at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?= severity |$)/, "发生于 $1"],
];

export function hubWords(text: string): string {
  if (language.value !== "zh") return text;
  const known = SAID_ZH.reduce((words, [pattern, zh]) => words.replace(pattern, zh), text);
  return known === text ? text : known.replace(/ severity (\w+)$/, (_all, severity: string) => `，级别：${severityName(severity)}`).replaceAll("; ", "；");
}
