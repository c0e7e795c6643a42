// Which page this is says the last part of its address.

import { letLinksLeave } from "./dom.js";
import { showJob } from "./job.js";
import { showRun } from "./run.js";
import { showRuns } from "./runs.js";

const PAGES = { run: showRun, job: showJob };

letLinksLeave();
const show = PAGES[location.pathname.split("/").pop()] ?? showRuns;
show(document.getElementById("top"), document.getElementById("content"));
