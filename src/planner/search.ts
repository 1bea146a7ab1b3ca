// The smallest number of workers that holds the promise.

/**
 * Steps up from `least` with growing strides, then halves what lies between. `holds` must stay true from some number on.
 * Null: not even four times as many (and eight) hold it, so workers are not what is missing.
 */
export function smallest(least: number, holds: (workers: number) => boolean): number | null {
  if (holds(least)) return least;
  const most = 4 * least + 8;
  let fails = least;
  for (let stride = 1; fails < most; stride *= 2) {
    const tried = Math.min(fails + stride, most);
    if (holds(tried)) return between(fails, tried, holds);
    fails = tried;
  }
  return null;
}

function between(fails: number, works: number, holds: (workers: number) => boolean): number {
  let [low, high] = [fails, works];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}
