// Runs scenarios in order and prints the name of each that held; the first that does not ends it.
"use strict";

module.exports = (scenarios) =>
  (async () => {
    for (const [name, scenario] of Object.entries(scenarios)) {
      await scenario();
      console.log(name);
    }
  })().catch((error) => {
    console.error(error);
    process.exit(1);
  });
