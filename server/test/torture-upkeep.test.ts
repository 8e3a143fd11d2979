import { faultTests } from "./faults/fault-tests.ts";
import { upkeep } from "./faults/kinds/all-faults.ts";

faultTests(upkeep);
