/**
 * STEPS: the one shape of everything that is done to a model in an order, from "open" to "infer dtypes".
 *
 * A list of steps is a flow (src/driver/quantize.ts), a pipeline (src/passes/minmax/index.ts) or the preparation
 * (src/passes/prepare/index.ts). A step may itself run a list of steps. `MINMAXQ_DEBUG=1` prints each step's time, number of rounds and reason
 * on stderr; steps inside of a step are indented and stand before it.
 */
import { timed } from "./timings.ts";

export interface Step<Subject extends readonly unknown[]> {
  readonly name: string;
  /** Why it stands where it stands. */
  readonly why: string;
  /** Does the work. What it returns counts only for a step that is repeated: true = something changed. */
  readonly run: (...subject: Subject) => unknown;
  /** Repeated until it changes nothing. */
  readonly repeat?: true;
  /** Left out where this is false; absent = always run. */
  readonly when?: (...subject: Subject) => boolean;
  /** The row of `--timings` that its time belongs to, where it has one (src/terminal/timings-table.ts). */
  readonly span?: string;
}

/** What a step took. */
export interface StepTime {
  readonly name: string;
  readonly milliseconds: number;
  readonly rounds: number;
}

/** Told of each step: at its end, and (with `around`) at its beginning. */
export interface StepObserver {
  /** Called when a step begins; what it returns is called when the step has ended. */
  readonly around?: (name: string) => () => void;
  readonly ended?: (time: StepTime) => void;
}

/** How much is printed on stderr: 0 nothing, 1 steps, 2 also what passes change of each node. */
export function debugLevel(): number {
  return Number(process.env.MINMAXQ_DEBUG ?? 0);
}

/** Depth of the step that is running, for the indentation of debug lines only. */
let depth = 0;

/**
 * Runs steps in order on one subject. Returns a promise when a step does; without one everything has been done on return.
 * Whatever a step throws ends the list.
 */
export function runSteps<Subject extends readonly unknown[]>(
  steps: readonly Step<Subject>[],
  subject: Subject,
  observer: StepObserver = {},
  from = 0,
): void | Promise<void> {
  for (let at = from; at < steps.length; at++) {
    const step = steps[at]!;
    if (step.when && !step.when(...subject)) continue;
    const pending = runStep(step, subject, observer);
    if (pending) return pending.then(() => runSteps(steps, subject, observer, at + 1));
  }
}

function runStep<Subject extends readonly unknown[]>(
  step: Step<Subject>,
  subject: Subject,
  observer: StepObserver,
): Promise<void> | undefined {
  const after = observer.around?.(step.name);
  const started = performance.now();
  let rounds = 0;
  const round = () => {
    rounds++;
    return timed(step.span ?? step.name, () => step.run(...subject));
  };
  const end = () => {
    depth--;
    const milliseconds = performance.now() - started;
    if (debugLevel() > 0)
      console.error(
        `${"  ".repeat(depth)}${step.name}: ${milliseconds.toFixed(1)} ms, ${rounds} round(s); ${step.why}`,
      );
    after?.();
    observer.ended?.({ name: step.name, milliseconds, rounds });
  };
  depth++;
  try {
    let result = round();
    while (!(result instanceof Promise) && result === true && step.repeat) result = round();
    if (!(result instanceof Promise)) {
      end();
      return undefined;
    }
    return untilDone(result, step.repeat ? round : undefined).then(end, (error) => {
      depth--;
      throw error;
    });
  } catch (error) {
    depth--;
    throw error;
  }
}

async function untilDone(first: Promise<unknown>, round: (() => unknown) | undefined): Promise<void> {
  let changed = await first;
  while (changed === true && round) changed = await round();
}
