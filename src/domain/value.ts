// The journal's value encoding: any plain JavaScript value as JSON text, and back, exactly.
//
// JSON values are encoded as themselves, so that they read well in psql. What JSON cannot say is an object with the key "$":
// {"$":"Date","v":"2026-01-01T00:00:00.000Z"}. A user's object that has a key "$" of its own is wrapped as
// {"$":"Object","v":{…}}, whose first level is taken literally. Encoded texts may be put together as JSON parts of a larger text.
//
//   tag                      v
//   undefined                absent
//   Number                   "-0", "NaN", "Infinity" or "-Infinity"
//   BigInt                   decimal digits
//   Date                     ISO 8601 text, or null for an invalid date
//   Map, Set                 [[key, value], …], [value, …]
//   RegExp                   [source, flags] or [source, flags, lastIndex]
//   URL                      its href
//   Uint8Array, Float32Array … base64 of the bytes, little endian
//   Error                    {type?, name, message, stack?, code?, cause?, errors?, props?}
//   Object                   the object's own properties
//
// Not kept, by design: which object was shared by several places, null prototypes, non-enumerable properties, classes of
// errors beyond the built-in ones (their name, code and own properties are kept), Buffer (it becomes a Uint8Array).

export { decodeValue } from "./value-decode.ts";
export { encodeValue } from "./value-encode.ts";
