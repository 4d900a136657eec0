// A list as a file: what it shows, whole, as a workbook and as CSV. The API makes both, and refuses one that is too long.
import type { JSX } from "preact";
import { address, type Parameters } from "../lib/api.ts";
import { dictionary } from "../lib/words.ts";

const t = dictionary({ download: "下载表格" }, { download: "Download table" });

/** `path`: of the list's route, without its ending. */
export const Download = ({ path, parameters }: { path: string; parameters: Parameters }): JSX.Element => (
  <span class="row download">
    <a href={address(`${path}.xlsx`, parameters)} download={`${path}.xlsx`}>
      {t("download")} (XLSX)
    </a>
    <a href={address(`${path}.csv`, { ...parameters, bom: true })} download={`${path}.csv`}>
      CSV
    </a>
  </span>
);
