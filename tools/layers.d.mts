import type { Linter } from 'eslint';

export declare const LAYERS: readonly (readonly string[])[];
export declare function layerRules(): Linter.Config[];
