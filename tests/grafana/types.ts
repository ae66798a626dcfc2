// What the dashboard should be, in Grafana's own types.

import type {
  AnnotationQuery,
  Dashboard,
  DataQuery,
  FieldConfig,
  FieldConfigSource,
  GraphFieldConfig,
  Panel,
  RowPanel,
  TableFieldOptions,
  VariableModel,
} from '@grafana/schema';
import type { Options as HeatmapOptions } from '@grafana/schema/dist/types/raw/composable/heatmap/panelcfg/x/types.gen';
import type { Options as StatOptions } from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type { Options as TableOptions } from '@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import type { Options as TimeSeriesOptions } from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';

// JSON has the values of enums, not the enums; and keeps no room for whatever else.
type Written<T> = T extends string
  ? `${T}`
  : T extends (infer Item)[]
    ? Written<Item>[]
    : T extends object
      ? { [Key in keyof T]: Written<T[Key]> }
      : T;

// A Prometheus query: its own type is in no package of Grafana's that stands alone.
type PrometheusQuery = Pick<DataQuery, 'refId'> & {
  datasource: { type: 'prometheus'; uid: string };
  expr: string;
  exemplar?: boolean;
  format: 'time_series' | 'heatmap' | 'table';
  instant?: boolean;
  range?: boolean;
  legendFormat: string;
};

type Drawn<Type extends string, Options, Custom> = Omit<
  Panel,
  'type' | 'options' | 'fieldConfig' | 'targets'
> & {
  type: Type;
  options: Options;
  fieldConfig: Omit<FieldConfigSource, 'defaults'> & {
    defaults: Omit<FieldConfig, 'custom'> & { custom?: Custom };
  };
  targets: PrometheusQuery[];
};

export type AnyPanel =
  | Drawn<'timeseries', Omit<TimeSeriesOptions, 'timezone'>, GraphFieldConfig>
  | Drawn<'stat', StatOptions, never>
  | Drawn<'table', TableOptions, TableFieldOptions>
  | Drawn<'heatmap', HeatmapOptions, never>;

// An annotation with the fields that are of Prometheus' data source.
type PrometheusAnnotation = AnnotationQuery & { expr: string; step: string; titleFormat: string };

export type Written_Dashboard = Written<
  Omit<Dashboard, 'annotations' | 'panels' | 'templating'> & {
    annotations: { list: PrometheusAnnotation[] };
    panels: (AnyPanel | (Omit<RowPanel, 'panels'> & { panels: AnyPanel[] }))[];
    templating: { list: VariableModel[] };
  }
>;
