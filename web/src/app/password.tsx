// One's own password. All other sessions of the person end, this one goes on.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { asProblem, post, type Problem } from "../lib/api.ts";
import { Dialog } from "../part/dialog.tsx";
import { Failed } from "../part/states.tsx";
import { t } from "./words.ts";

const FIELDS = [
  { key: "password", words: "oldPassword", complete: "current-password" },
  { key: "new_password", words: "newPassword", complete: "new-password" },
  { key: "again", words: "again", complete: "new-password" },
] as const;

export function ChangePassword({ onClose }: { onClose: () => void }): JSX.Element {
  const [typed, setTyped] = useState({ password: "", new_password: "", again: "" });
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(false);
  const differ = typed.again !== "" && typed.again !== typed.new_password;
  const submit = async (event: Event) => {
    event.preventDefault();
    if (typed.again !== typed.new_password) return;
    setBusy(true);
    setProblem(null);
    try {
      await post("me/password", { password: typed.password, new_password: typed.new_password });
      setDone(true);
    } catch (error) {
      setProblem(asProblem(error));
    }
    setBusy(false);
  };
  return (
    <Dialog title={t("changePassword")} onClose={onClose}>
      {done ? (
        <p role="status">{t("changed")}</p>
      ) : (
        <form id="change-password" class="form" onSubmit={(event) => void submit(event)}>
          {FIELDS.map(({ key, words, complete }) => (
            <label key={key}>
              <span>{t(words)}</span>
              <input type="password" name={key} required autocomplete={complete} value={typed[key]} onInput={(event) => setTyped({ ...typed, [key]: event.currentTarget.value })} />
            </label>
          ))}
          <p class="quiet">{t("passwordRule")}</p>
          {differ && (
            <p class="bad" role="alert">
              {t("differ")}
            </p>
          )}
          {problem && <Failed problem={problem} />}
        </form>
      )}
      <div class="row">
        {!done && (
          <button type="submit" form="change-password" class="primary" disabled={busy || differ}>
            {t("save")}
          </button>
        )}
        <button type="button" onClick={onClose}>
          {t(done ? "close" : "cancel")}
        </button>
      </div>
    </Dialog>
  );
}
