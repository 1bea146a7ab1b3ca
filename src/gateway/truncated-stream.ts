// A stream that broke off: what it had said until then is kept, because it was paid for.

export class TruncatedStream extends Error {
  override readonly name = "TruncatedStream";
  /** The text that had come. */
  readonly partial: string;

  constructor(message: string, partial: string, options?: ErrorOptions) {
    super(message, options);
    this.partial = partial;
  }
}
