/**
 * One of several processes of the service: what `main.ts` starts where it is a supervisor.
 */
import * as SupervisedFront from "./layers/SupervisedFront.ts"
import { run } from "./Service.ts"

run(await SupervisedFront.connect())
