// Starts the browser client: loads the WebAssembly beside this file and brings the page to life.
// It is a file, not an inline script, because the content security policy allows none inline.
try {
  const { default: load, hydrate } = await import("./pkg/campfire.js");
  await load({ module_or_path: new URL("./pkg/campfire.wasm", import.meta.url) });
  hydrate();
} catch (error) {
  console.error("Campfire's browser client did not start. Links and forms still work.", error);
}
