/** Failures that may pass, so that another try makes sense. */
import { MinmaxqError } from "../base/errors.ts";

/** Errors of the machine, not of the model: full or failing disks, no memory, too many files, a share that is away. */
const PASSING =
  /^(EIO|ENOSPC|EDQUOT|ENOMEM|EAGAIN|EMFILE|ENFILE|ESTALE|ETIMEDOUT|EBUSY|EINTR|ENETDOWN|ENETUNREACH|EHOSTDOWN|EHOSTUNREACH|ECONNRESET|ENOTCONN|EREMOTEIO|ENOLCK|ETXTBSY)$/;

/** Whether it is the machine's fault (also as the cause of what is told), not the model's or the job's. */
export function mayPass(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause as Error) {
    const code = "code" in each ? String(each.code) : "";
    if (PASSING.test(code)) return true;
    if (!(each instanceof MinmaxqError) && /out of memory/i.test(each.message)) return true;
  }
  return false;
}
