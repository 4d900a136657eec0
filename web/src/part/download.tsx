// A list as a file: what it shows, whole, as a workbook and as CSV. The API makes both.
import type { JSX } from "preact";
import { address, type Parameters } from "../lib/api.ts";
import { dictionary } from "../lib/words.ts";

const t = dictionary({ download: "下载表格" }, { download: "Download table" });

const MOST_ROWS = 100_000;

/** `bounded` false: the list's file has no `limit`, and all rows. */
export const Download = ({ path, parameters, bounded = true }: { path: string; parameters: Parameters; bounded?: boolean }): JSX.Element => {
  const asked = { ...parameters, ...(bounded && { limit: MOST_ROWS }) };
  return (
    <span class="row download">
      <a href={address(`${path}.xlsx`, asked)} download={`${path}.xlsx`}>
        {t("download")} (XLSX)
      </a>
      <a href={address(`${path}.csv`, { ...asked, bom: true })} download={`${path}.csv`}>
        CSV
      </a>
    </span>
  );
};
