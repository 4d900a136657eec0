import type { JSX } from "preact";
import { setTheme, theme } from "../lib/theme.ts";
import { language, setLanguage } from "../lib/words.ts";
import { t } from "./words.ts";

export function LanguageSwitch(): JSX.Element {
  const other = language.value === "zh" ? "en" : "zh";
  return (
    <button type="button" class="plain" lang={other === "zh" ? "zh-CN" : "en"} onClick={() => setLanguage(other)}>
      {t("english")}
    </button>
  );
}

export function ThemeSwitch(): JSX.Element {
  const other = theme.value === "dark" ? "light" : "dark";
  return (
    <button type="button" class="plain" onClick={() => setTheme(other)}>
      {t(other)}
    </button>
  );
}
