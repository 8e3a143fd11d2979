import { sqliteWithRawFiles } from "./support/sqlite-engine.ts";
import { storeSuite } from "./support/store-suite.ts";

storeSuite(sqliteWithRawFiles);
