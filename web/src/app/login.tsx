// The login: the first thing that is seen, and again, above the view, when a session is over.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "../lib/api.ts";
import { logIn, me } from "../lib/session.ts";
import { Failed } from "../part/states.tsx";
import { LanguageSwitch, ThemeSwitch } from "./switches.tsx";
import { t } from "./words.ts";

function LoginForm({ login: given = "" }: { login?: string }): JSX.Element {
  const [login, setLogin] = useState(given);
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const first = useRef<HTMLInputElement>(null);
  const second = useRef<HTMLInputElement>(null);
  useEffect(() => (given === "" ? first : second).current?.focus(), []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    const refused = await logIn(login.trim(), password);
    setBusy(false);
    setProblem(refused);
    if (refused !== null) second.current?.select();
  };
  return (
    <form class="form" onSubmit={(event) => void submit(event)}>
      <label>
        <span>{t("account")}</span>
        <input ref={first} name="login" autocomplete="username" required autofocus={given === ""} autocapitalize="none" spellcheck={false} value={login} onInput={(event) => setLogin(event.currentTarget.value)} />
      </label>
      <label>
        <span>{t("password")}</span>
        <input ref={second} name="password" type="password" autocomplete="current-password" required autofocus={given !== ""} value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
      </label>
      {problem && <Failed problem={problem} />}
      <button class="primary" type="submit" disabled={busy}>
        {t(busy ? "entering" : "enter")}
      </button>
    </form>
  );
}

export function LoginPage(): JSX.Element {
  return (
    <main class="login">
      <div class="login-box">
        <h1>{t("product")}</h1>
        <LoginForm />
        <p class="quiet">{t("loginHelp")}</p>
        <div class="row">
          <LanguageSwitch />
          <ThemeSwitch />
        </div>
      </div>
    </main>
  );
}

/** Above the view, which stays as it is. */
export function LoginAgain(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="login-again" onCancel={(event) => event.preventDefault()}>
      <h2 id="login-again">{t("over")}</h2>
      <p>{t("overHelp")}</p>
      <LoginForm login={me.value?.login ?? ""} />
      <p class="quiet">{t("asOther")}</p>
    </dialog>
  );
}
