/** The import of a file with its progress: while it is sent, and while the server works it in. */
import { api, ApiError, withQuery } from "../shared/api";
import { t } from "../shared/i18n";
import { refusalText } from "../shared/refusal";
import type { Job } from "../shared/types";
import { state, type ImportResult } from "./state";

const POLL_MS = 700;

/** Send the file and follow the job to its end; `redraw` after each step. */
export async function importFile(file: File, source: string, redraw: () => void): Promise<void> {
  state.upload = { name: file.name, progress: 0, done: false, fault: "", result: null };
  const upload = state.upload;
  redraw();
  try {
    const type = /\.(geo)?json$/i.test(file.name) ? "application/geo+json" : "text/csv";
    const answer = await api.upload<ImportResult | { job_id: string }>(withQuery("/violations/import", { source }), file, type);
    upload.result = "job_id" in answer ? await followed<ImportResult>(answer.job_id, (progress) => { upload.progress = progress; redraw(); }) : answer;
    upload.progress = 1;
  } catch (error) {
    upload.fault = refusalText(error);
  }
  upload.done = true;
  redraw();
}

/** The result of a job once it is done; `progress` hears how far it is. */
export async function followed<Result>(jobId: string, progress: (share: number) => void): Promise<Result> {
  for (;;) {
    const job = await api.get<Job>(`/jobs/${jobId}`);
    progress(job.progress);
    if (job.status === "done") return job.result as unknown as Result;
    if (job.status === "failed") throw new ApiError(500, "failed", String((job.result ?? {}).detail ?? t("supervisor.import_failed")));
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
