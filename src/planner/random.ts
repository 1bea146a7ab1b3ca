// Random numbers that are the same for the same seed, on every machine: what is simulated twice must come out twice.

const TWO_TO_32 = 4_294_967_296;
/** Rounds after which the state no longer shows what the seed was. */
const WARM_UP = 15;

/** A stream of numbers. Streams of one seed with different numbers are independent of each other. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  /** Normal numbers come in pairs. */
  #spare: number | null = null;

  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / TWO_TO_32) | 0;
    this.#c = Math.imul(stream + 1, 0x9e3779b1);
    for (let round = 0; round < WARM_UP; round++) this.uniform();
  }

  /** Even from 0 up to, and never, 1 (Chris Doty-Humphrey's sfc32). */
  uniform(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return (sum >>> 0) / TWO_TO_32;
  }

  /** Time between two events that know nothing of each other, in units of its mean. */
  exponential(): number {
    return -Math.log(1 - this.uniform());
  }

  /** Mean 0, standard deviation 1 (Box and Muller). */
  normal(): number {
    if (this.#spare !== null) {
      const spare = this.#spare;
      this.#spare = null;
      return spare;
    }
    const radius = Math.sqrt(2 * this.exponential());
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}
