// The first moments of a term. Nothing is connected yet, and that is no news: statuses that an earlier leader wrote are not taken
// back for it, else each change of leaders would write those of ten thousand scripts twice.
export interface Settling {
  readonly isOn: boolean;
  /** All that is there is connected. */
  end(): void;
  /** The term is over. */
  stop(): void;
}

/** Runtimes that are there are connected by then. */
const SETTLING_MS = 5000;

/** On until `end` is called, at the longest for five seconds; then `onEnd` is called, once. */
export function startSettling(onEnd: () => void): Settling {
  let isOn = true;
  const stop = (): void => {
    isOn = false;
    clearTimeout(timer);
  };
  const end = (): void => {
    if (!isOn) return;
    stop();
    onEnd();
  };
  const timer = setTimeout(end, SETTLING_MS);
  return {
    get isOn() {
      return isOn;
    },
    end,
    stop,
  };
}
