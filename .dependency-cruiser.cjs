// The rooms of src/ and who may import whom: each room sees only the rooms before it in this list.
const rooms = ["domain", "store", "engine", "agents", "runtime", "server", "cli"];
const after = (room) => rooms.slice(rooms.indexOf(room) + 1);
const oneOf = (names) => `^src/(${names.join("|")})/`;
const sideRooms = ["gateway", "embedded", "planner", "client", "observe", "testing"];

/** A side room that hangs off the line may import only the rooms named, and itself. */
const sees = (room, allowed) => ({
  name: `${room}-sees-only-${allowed.join("-")}`,
  severity: "error",
  from: { path: `^src/${room}/` },
  to: { path: "^src/", pathNot: oneOf([room, ...allowed]) },
});

module.exports = {
  forbidden: [
    ...rooms
      .filter((room) => after(room).length > 0)
      .map((room) => ({
        name: `${room}-looks-only-down`,
        severity: "error",
        from: { path: `^src/${room}/` },
        to: { path: oneOf(after(room)) },
      })),
    { name: "no-circular", severity: "error", from: {}, to: { circular: true } },
    {
      name: "domain-is-pure",
      comment: "No packages, no node: built-ins, no other room.",
      severity: "error",
      from: { path: "^src/domain/" },
      to: { pathNot: "^src/domain/" },
    },
    sees("store", ["domain"]),
    sees("engine", ["domain", "store"]),
    sees("gateway", ["domain", "store"]),
    sees("embedded", ["domain"]),
    sees("client", ["domain"]),
    sees("planner", ["domain"]),
    {
      name: "planner-is-pure",
      comment: "It simulates and counts: no packages, no node: built-ins, no clock of its own.",
      severity: "error",
      from: { path: "^src/planner/" },
      to: { pathNot: "^src/(planner|domain)/" },
    },
    {
      name: "pg-only-in-store",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(store|testing)/" },
      to: { path: "node_modules/(@types/)?pg/" },
    },
    {
      name: "testing-is-for-users",
      comment: "The product never imports its own test kit.",
      severity: "error",
      from: { path: oneOf([...rooms, ...sideRooms.filter((room) => room !== "testing")]) },
      to: { path: "^src/testing/" },
    },
    {
      name: "src-stands-alone",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(test|bench|examples|scripts|dashboard)/" },
    },
    {
      name: "no-dev-dependency-in-src",
      comment: "Types alone may come from a development dependency. A peer is one as well: the user installs it.",
      severity: "error",
      from: { path: "^src/" },
      to: {
        dependencyTypes: ["npm-dev"],
        dependencyTypesNot: ["type-only", "npm-peer"],
        pathNot: "node_modules/@types/",
      },
    },
    { name: "not-resolvable", severity: "error", from: { path: "^src/" }, to: { couldNotResolve: true } },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
};
