/** What browsers and the devices of a list are called. */

import assert from "node:assert/strict";
import test from "node:test";

import { browserName } from "../../audiostream/web/js/browser-name.js";
import { distinctNames } from "../../audiostream/web/js/panels/device-names.js";

const WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
const CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0";
const MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)";
const IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X)";

test("a browser is called by its name and the kind of its device", () => {
  const names = {
    [`Mozilla/5.0 (X11; Linux x86_64) ${CHROME} Safari/537.36`]: "Chrome, Linux",
    [`Mozilla/5.0 (Linux; Android 10; K) ${CHROME} Mobile Safari/537.36`]: "Chrome, Android",
    "Mozilla/5.0 (Android 14; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0": "Firefox, Android",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0": "Firefox, Linux",
    [`${IPHONE} ${WEBKIT} Version/17.5 Mobile/15E148 Safari/604.1`]: "Safari, iPhone",
    [`${IPHONE} ${WEBKIT} CriOS/131.0 Mobile/15E148 Safari/604.1`]: "Chrome, iPhone",
    [`${MAC} ${WEBKIT} Version/17.5 Safari/605.1.15`]: "Safari, Mac",
    [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROME} Safari/537.36 Edg/131.0`]:
      "Edge, Windows",
    [`Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${CHROME} Safari/537.36`]: "Chrome, ChromeOS",
    "SomethingElse/1.0": "Web player",
  };
  for (const [userAgent, name] of Object.entries(names)) assert.equal(browserName(userAgent), name);
});

test("a Mac with a touch screen is an iPad", () => {
  assert.equal(browserName(`${MAC} ${WEBKIT} Version/17.5 Safari/605.1.15`, 5), "Safari, iPad");
});

test("devices of the same name have numbers by their order in the list", () => {
  const list = ["Chrome, Linux", "Kitchen", "Chrome, Linux", null, "Chrome, Linux", ""];
  assert.deepEqual(distinctNames(list.map((deviceName) => ({ deviceName }))), [
    "Chrome, Linux",
    "Kitchen",
    "Chrome, Linux (2)",
    "Unnamed device",
    "Chrome, Linux (3)",
    "Unnamed device (2)",
  ]);
});

test("a number that a name has already is given to no other", () => {
  const list = ["Den", "Den (2)", "Den"].map((deviceName) => ({ deviceName }));
  assert.deepEqual(distinctNames(list), ["Den", "Den (2)", "Den (3)"]);
});
