// Bands: which runs workers serve first. The database keeps their places in this list.

export const BANDS = ["interactive", "normal", "background"] as const;
export type Band = (typeof BANDS)[number];

/** The number by which the database knows a band; null for none. */
export function bandNumber(band: Band | null): number | null {
  return band === null ? null : BANDS.indexOf(band);
}
