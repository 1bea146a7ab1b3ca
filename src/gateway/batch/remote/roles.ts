// What a provider's batches are to whoever sends and polls them.

/** Where the provider is, and who we are to it. */
export interface RemoteAddress {
  /** Without a slash at the end. */
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface RemoteItem {
  readonly itemId: string;
  /** The body of the request, JSON. */
  readonly body: string;
}

/** `results`: bodies of answers by item; null where the provider gave none. What is not in there was never answered. */
export type RemoteState =
  | { readonly is: "open" }
  | { readonly is: "ended"; readonly results: ReadonlyMap<string, string | null> };

export interface RemoteBatches {
  /** The largest body of a batch that we send, in bytes. */
  readonly bytesMax: number;
  /** Sends a batch that can be found again by our id. `path`: of the request, below the address. Answers the provider's id. */
  submit(address: RemoteAddress, batchId: string, path: string, items: readonly RemoteItem[]): Promise<string>;
  /** The provider's id of a batch of which it is not known whether it was sent; null when it was not. */
  find(address: RemoteAddress, batchId: string, itemIds: readonly string[]): Promise<string | null>;
  state(address: RemoteAddress, remoteId: string): Promise<RemoteState>;
  /** Nobody waits for the rest of it. */
  cancel(address: RemoteAddress, remoteId: string): Promise<void>;
}
