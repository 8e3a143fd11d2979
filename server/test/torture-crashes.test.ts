import { faultTests } from "./faults/fault-tests.ts";
import { crashes } from "./faults/kinds/all-faults.ts";

faultTests(crashes);
