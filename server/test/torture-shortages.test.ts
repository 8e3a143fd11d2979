import { faultTests } from "./faults/fault-tests.ts";
import { shortages } from "./faults/kinds/all-faults.ts";

faultTests(shortages);
