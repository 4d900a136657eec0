// What stands where data would be: under way, nothing there, refused. A refusal says what was wrong, the hub's code, and what to do.
import type { ComponentChildren, JSX } from "preact";
import type { Problem } from "../lib/api.ts";
import { dictionary, language } from "../lib/words.ts";

const t = dictionary(
  {
    loading: "正在载入…",
    nothing: "没有符合条件的内容",
    again: "重试",
    away: "连接不上系统",
    awayHint: "请检查网络；恢复后点“重试”。",
    code: "代码 {0}",
    status: "HTTP {0}",
    after: "请在 {0} 秒后再试。",
  },
  {
    loading: "Loading…",
    nothing: "Nothing fits",
    again: "Try again",
    away: "The system does not answer",
    awayHint: "Look at the network, then try again.",
    code: "Code {0}",
    status: "HTTP {0}",
    after: "Try again after {0} s.",
  },
);

export const Loading = (): JSX.Element => (
  <p class="quiet" role="status">
    {t("loading")}
  </p>
);

export const Empty = ({ children }: { children?: ComponentChildren }): JSX.Element => <p class="quiet">{children ?? t("nothing")}</p>;

const isChinese = (text: string): boolean => /[\u4e00-\u9fff]/.test(text);
/** What a rule says itself is English: beside a Chinese title it stands small below, for whoever the user asks. */
const isForeign = (problem: Problem): boolean => language.value === "zh" && problem.title !== "" && !isChinese(problem.message);
/** Without what is meant for whoever sits at the server, in English behind the hub's Chinese words. */
const hintOf = (problem: Problem): string => (language.value === "zh" ? problem.hint.replace(/（[^（）\u4e00-\u9fff]*）$/, "") : problem.hint);

/** The text of a refusal, on one line. */
export function problemText(problem: Problem): string {
  if (problem.status === 0 && problem.title === "") return t("away");
  return [problem.title, isForeign(problem) ? "" : problem.message].filter((text, place, all) => text !== "" && all.findIndex((other) => other.toLowerCase() === text.toLowerCase()) === place).join("：");
}

export function Failed({ problem, retry }: { problem: Problem; retry?: (() => void) | undefined }): JSX.Element {
  const hint = problem.retryAfter > 0 ? t("after", problem.retryAfter) : problem.status === 0 ? t("awayHint") : hintOf(problem);
  return (
    <div class="failed" role="alert">
      <strong>{problemText(problem)}</strong>
      {hint !== "" && <span>{hint}</span>}
      {isForeign(problem) && (
        <small class="quiet" lang="en">
          {problem.message}
        </small>
      )}
      {problem.status !== 0 && <code>{problem.code === "" ? t("status", problem.status) : t("code", problem.code)}</code>}
      {retry && (
        <button type="button" onClick={retry}>
          {t("again")}
        </button>
      )}
    </div>
  );
}
